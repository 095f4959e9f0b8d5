package nodeimage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"time"
)

// node is a file or symbolic link of a layer. One of the last three fields defines its content.
type node struct {
	path       string
	executable bool
	content    []byte
	source     string
	link       string
}

// epoch is the time of all files of the layer, so that two builds have the same bytes.
var epoch = time.Unix(0, 0).UTC()

// writeTree writes files and the folders that contain them. root owns all of them.
func writeTree(output io.Writer, nodes []node) error {
	writer := tar.NewWriter(output)
	folders := map[string]bool{".": true}
	for _, each := range nodes {
		if err := writeFolders(writer, folders, path.Dir(each.path)); err != nil {
			return fmt.Errorf("write %s: %w", each.path, err)
		}
		if err := writeNode(writer, each); err != nil {
			return fmt.Errorf("write %s: %w", each.path, err)
		}
	}
	return writer.Close()
}

func writeFolders(writer *tar.Writer, known map[string]bool, folder string) error {
	if known[folder] {
		return nil
	}
	if err := writeFolders(writer, known, path.Dir(folder)); err != nil {
		return err
	}
	known[folder] = true
	return writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: epoch})
}

func writeNode(writer *tar.Writer, each node) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: each.path, Mode: 0o644, Size: int64(len(each.content)), ModTime: epoch}
	if each.executable {
		header.Mode = 0o755
	}
	if each.link != "" {
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, each.link, 0o777
		return writer.WriteHeader(header)
	}
	var content io.Reader = bytes.NewReader(each.content)
	if each.source != "" {
		file, err := os.Open(each.source)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		information, err := file.Stat()
		if err != nil {
			return err
		}
		header.Size, content = information.Size(), file
	}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(writer, content)
	return err
}
