package local

import (
	"context"
	"fmt"
)

// Load imports archives of images into the running cluster and returns the names of the images: none where pods do nothing.
func Load(ctx context.Context, parent, name string, archives []string) ([]string, error) {
	recorded, err := readRecord(newLayout(parent, name).record())
	if err != nil {
		return nil, err
	}
	if len(recorded.Processes) == 0 {
		return nil, fmt.Errorf("cluster %s does not run: start it first", name)
	}
	if recorded.Simulated {
		return nil, nil
	}
	names, err := importEverywhere(ctx, recorded, archives)
	if err != nil {
		return names, fmt.Errorf("load images into cluster %s: %w", name, err)
	}
	return names, nil
}
