//go:build ignore

// Command crop keeps the upper part of a PNG: crop FROM TO HEIGHT. make.sh runs it.
package main

import (
	"image"
	"image/draw"
	"image/png"
	"log"
	"os"
	"strconv"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("crop FROM TO HEIGHT")
	}
	if err := crop(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal("cannot crop the picture: ", err)
	}
}

func crop(from, to, height string) error {
	h, err := strconv.Atoi(height)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	whole, err := png.Decode(in)
	if err != nil {
		return err
	}
	part := image.NewRGBA(image.Rect(0, 0, whole.Bounds().Dx(), min(h, whole.Bounds().Dy())))
	draw.Draw(part, part.Bounds(), whole, whole.Bounds().Min, draw.Src)
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, part); err != nil {
		return err
	}
	return out.Close()
}
