package kind

import (
	"bytes"
	_ "embed" // for the configuration
	"fmt"
	"text/template"
)

//go:embed config.yaml
var configSource string

var configTemplate = template.Must(template.New("config.yaml").Parse(configSource))

// config is what kind is told about the cluster. A node of ours brings what kind would otherwise install from images.
func config(ownNode bool) ([]byte, error) {
	var content bytes.Buffer
	if err := configTemplate.Execute(&content, struct{ OwnNode bool }{ownNode}); err != nil {
		return nil, fmt.Errorf("write kind's configuration: %w", err)
	}
	return content.Bytes(), nil
}
