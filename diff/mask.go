package diff

import (
	"regexp"
	"strings"
)

// Masked stands for what is not written down.
const Masked = "(hidden)"

// secretName matches names of variables and settings whose values are nobody's business.
var secretName = regexp.MustCompile(`(?i)(pass(wd|word|phrase)?|secret|token|credential|private|api_?key|access_?key|auth|cookie|session_?key)`)

// harmless are names that only look like it.
var harmless = regexp.MustCompile(`(?i)^(XAUTHORITY|SSH_AUTH_SOCK|DBUS_SESSION_BUS_ADDRESS|XDG_SESSION_\w+|Authorization: none)$`)

// Secret says whether a variable's value must not be shown.
func Secret(name string) bool { return secretName.MatchString(name) && !harmless.MatchString(name) }

var (
	assignment = regexp.MustCompile(`(?i)\b([\w.-]*(?:pass(?:wd|word|phrase)?|secret|token|credential|api_?key|access_?key)[\w.-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"',;&]+)`)
	bearer     = regexp.MustCompile(`(?i)\b((?:authorization|proxy-authorization|cookie|set-cookie)["']?\s*[:=]\s*(?:bearer |basic |token )?)[^\s"',;]+`)
	userinfo   = regexp.MustCompile(`(\b[a-z][a-z0-9+.-]*://[^\s/@:]*):[^\s/@]+@`)
	keyBlock   = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Mask hides what looks like a secret in the output of a command: passwords in URLs, values that are assigned to names of
// secrets (in a query of a URL too), credentials in headers, private keys.
func Mask(text string) string {
	text = keyBlock.ReplaceAllString(text, Masked)
	text = bearer.ReplaceAllString(text, "${1}"+Masked)
	text = userinfo.ReplaceAllString(text, "$1:"+Masked+"@")
	return assignment.ReplaceAllStringFunc(text, func(s string) string {
		m := assignment.FindStringSubmatch(s)
		if strings.Trim(m[2], `"'`) == "" || m[2] == Masked {
			return s
		}
		if q := m[2][:1]; q == `"` || q == "'" {
			return m[1] + q + Masked + q
		}
		return m[1] + Masked
	})
}
