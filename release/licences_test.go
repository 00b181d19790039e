package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const isc = `Copyright (c) 2026 Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided
that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as
published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.

This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the GNU General Public License for more details.
`

func TestReadLicences(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
		wrong string
	}{
		"one":             {files: map[string]string{"LICENSE": isc}, want: []string{"ISC"}},
		"in a package":    {files: map[string]string{"LICENSE.txt": isc, "deep/COPYING": isc}, want: []string{"ISC"}},
		"none":            {files: map[string]string{"README.md": isc}, wrong: "has no licence"},
		"not allowed":     {files: map[string]string{"LICENSE": gpl}, wrong: "GPL-3.0-or-later"},
		"one of two":      {files: map[string]string{"LICENSE": isc, "deep/LICENSE": gpl}, wrong: "GPL-3.0-or-later"},
		"somebody's own":  {files: map[string]string{"LICENCE": "You may look at it, and send the author a cake each year that you do."}, wrong: "not understood"},
		"a clause more":   {files: map[string]string{"LICENSE": isc + strings.Repeat("And a cake has to be sent to the author on each Sunday. ", 10)}, wrong: "not understood"},
		"of the docs":     {files: map[string]string{"LICENSE": isc, "LICENSE.docs": gpl}, want: []string{"ISC"}},
		"a notice beside": {files: map[string]string{"LICENSE": isc, "NOTICE": "made by somebody"}, want: []string{"ISC"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := part{name: "example.com/x", version: "v1.0.0", folders: []string{dir, filepath.Join(dir, "deep")}}
			if err := os.Mkdir(filepath.Join(dir, "deep"), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, body := range c.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := p.readLicences()
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("error %v, want one with %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.licences, c.want) {
				t.Errorf("licences %v, want %v", p.licences, c.want)
			}
		})
	}
}

// What goes out names every part, its licence and its texts; the list of parts names the same ones.
func TestWhatGoesOut(t *testing.T) {
	parts, err := inSaigen(t.Context(), "..", "CGO_ENABLED=0")
	if err != nil {
		t.Fatal(err)
	}
	third := string(thirdParty(parts))
	list, err := sbom("v1", parts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom("v1", parts)
	if err != nil || string(again) != string(list) {
		t.Errorf("two lists of the same parts differ: %v", err)
	}
	for _, name := range []string{"github.com/hashicorp/hcl/v2", "github.com/spf13/cobra", "uPlot", "std"} {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			t.Errorf("%s is not among the parts", name)
		}
	}
	for _, p := range parts {
		if !strings.Contains(third, "\n"+p.String()+": "+strings.Join(p.licences, ", ")+" [") {
			t.Errorf("THIRD_PARTY does not have %s with its licence and a text", p)
		}
		for _, text := range p.texts {
			if !strings.Contains(third, strings.TrimRight(text.body, "\n")) {
				t.Errorf("THIRD_PARTY does not have %s of %s", text.file, p)
			}
		}
		if !strings.Contains(string(list), `"purl": "`+p.purl+`"`) {
			t.Errorf("the list of parts does not have %s", p)
		}
	}
	for _, word := range []string{"timestamp", "serialNumber"} {
		if strings.Contains(string(list), word) {
			t.Errorf("the list of parts has a %s, so no two are the same", word)
		}
	}
}
