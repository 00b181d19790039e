package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbom lists what is in the program, as CycloneDX 1.6 in JSON. It has no serial number and no time: the same program has the same
// list.
func sbom(version string, parts []part) ([]byte, error) {
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "saigen", Type: cdx.ComponentTypeApplication, Name: "saigen", Version: version,
		Licenses: licenceChoice([]string{"Apache-2.0"}),
	}}
	var all []cdx.Component
	for _, p := range parts {
		c := cdx.Component{
			BOMRef: p.purl, Type: cdx.ComponentTypeLibrary, Name: p.name, Version: p.version, PackageURL: p.purl,
			Licenses: licenceChoice(p.licences),
		}
		if p.sum != "" {
			// go.sum's: SHA-256 of the list of the module's files, see golang.org/x/mod/sumdb/dirhash.
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.sum, "h1:"))
			if err != nil {
				return nil, fmt.Errorf("cannot read the checksum of %s: %w", p, err)
			}
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
		}
		all = append(all, c)
	}
	b.Components = &all
	var out bytes.Buffer
	e := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := e.EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("cannot write the list of what is in saigen: %w", err)
	}
	return out.Bytes(), nil
}

// licenceChoice is one licence by its identifier, or several as an expression: each of them holds for a part of the code.
func licenceChoice(ids []string) *cdx.Licenses {
	if len(ids) == 1 {
		return &cdx.Licenses{{License: &cdx.License{ID: ids[0]}}}
	}
	return &cdx.Licenses{{Expression: strings.Join(ids, " AND ")}}
}
