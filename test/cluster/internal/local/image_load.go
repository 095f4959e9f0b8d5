package local

import (
	"context"
	"fmt"
)

// Load imports image archives into the running cluster and returns the names of the images. A simulated cluster needs none.
func Load(ctx context.Context, parent, name string, archives []string) ([]string, error) {
	recorded, err := readRecord(newLayout(parent, name).record())
	if err != nil {
		return nil, err
	}
	if len(recorded.Processes) == 0 {
		return nil, fmt.Errorf("cluster %s is not running: start it with up", name)
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
