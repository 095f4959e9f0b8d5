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

// config is the configuration of the cluster. The node image of this repository contains what kind otherwise installs from images.
func config(ownNode bool) ([]byte, error) {
	var content bytes.Buffer
	if err := configTemplate.Execute(&content, struct{ OwnNode bool }{ownNode}); err != nil {
		return nil, fmt.Errorf("write the configuration of kind: %w", err)
	}
	return content.Bytes(), nil
}
