package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/argo"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/binaries"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/images"
	"github.com/kubernaut-io/workflowexecution/test/cluster/internal/postgres"
)

func newServerImagesCommand(shared *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "argo-server-images",
		Short: "Build the images of the Argo server and of PostgreSQL, and print their archives",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			archives, err := shared.packServer(command.Context())
			for _, archive := range archives {
				fmt.Fprintln(command.OutOrStdout(), archive)
			}
			return err
		},
	}
}

// packServer packs the images of the Argo server and of its database, which only some tests need.
func (s *settings) packServer(ctx context.Context) ([]string, error) {
	program := binaries.ArgoServer(s.argoLine())
	built, err := s.binaryCache().Ensure(ctx, []binaries.Program{program})
	if err != nil {
		return nil, err
	}
	archives, err := packImages([]images.Request{
		{Binary: built.Path(program), Name: argo.ServerImage(s.argoVersion), Entrypoint: "bin/argo", User: argoUser},
	})
	if err != nil {
		return nil, err
	}
	database, err := postgres.Archive(ctx, filepath.Join(s.cache, "images"), os.Stderr)
	if err != nil {
		return nil, err
	}
	return append(archives, database), nil
}
