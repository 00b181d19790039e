// Command release is what stands between the code and those who use it: the licences of what is linked, the known
// vulnerabilities of what is called, and a release that anybody can build again, byte for byte. It runs in the root of the
// repository, by make lint and make release.
//
// It knows the go command, git and the folders of this repository. It must not know what saigen does.
package main
