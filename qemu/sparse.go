package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	page     = 4096
	copyUnit = 256 * page
)

// copySparse makes a file with what another holds, in which pages of zeroes take no room: a machine has memory that it
// never used, and memory that it has cleared. The copy is on the disk when it returns: after a loss of power it is whole,
// or it is not there.
func copySparse(to string, from *os.File) (err error) {
	st, err := from.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = out.Sync()
		}
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	if err := out.Truncate(st.Size()); err != nil {
		return err
	}
	buffer := make([]byte, copyUnit)
	for at := int64(0); at < st.Size(); {
		// At a hole, to the next data; both positions are those of pages, but for the file's end.
		data, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // the rest is a hole
		}
		if err != nil {
			return fmt.Errorf("cannot find the data of %s: %w", from.Name(), err)
		}
		n, err := from.ReadAt(buffer[:min(copyUnit, st.Size()-data)], data)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := writePages(out, buffer[:n], data); err != nil {
			return err
		}
		at = data + int64(n)
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

var zeroPage [page]byte

// writePages writes what is not zero, neighbours at once.
func writePages(out *os.File, data []byte, at int64) error {
	for len(data) > 0 {
		zero := leading(data, true)
		data, at = data[zero:], at+int64(zero)
		n := leading(data, false)
		if _, err := out.WriteAt(data[:n], at); err != nil {
			return err
		}
		data, at = data[n:], at+int64(n)
	}
	return nil
}

// leading is how many bytes, in pages, are all zero, or are not, at the start of data.
func leading(data []byte, zero bool) int {
	n := 0
	for n < len(data) {
		one := data[n:min(n+page, len(data))]
		if bytes.Equal(one, zeroPage[:len(one)]) != zero {
			break
		}
		n += len(one)
	}
	return n
}
