// Package fetch brings files and folders from elsewhere to this host, and is the only importer of go-getter. It gives
// nothing out that is not what its checksum says, keeps what it fetched by that checksum, and then needs no network
// for it. It must not know what is in a file: whether it is a lab, and what may stand in it, is labfile's business.
//
// What is fetched is untrusted until its checksum matched, and where it comes from is untrusted always: a lab that
// somebody sent may name any address. So of go-getter's getters only the one for HTTPS is used, with a client that
// refuses the host itself and its metadata service, and with nothing of the user's environment (proxies, netrc,
// credentials, headers). Its others are not: the one for git hands the whole environment to git, follows submodules,
// and bounds nothing; the decompressors of v2 write a link as an ordinary file, and trust a zip's claim of a negative
// size. Git and archives are therefore done here, under the same bounds.
package fetch
