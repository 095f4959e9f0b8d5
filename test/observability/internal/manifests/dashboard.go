package manifests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// DashboardPath is where the dashboard is in a folder config.
var DashboardPath = filepath.Join("grafana", "dashboards", "workflowexecution-controller.json")

// Dashboard has the fields of a Grafana dashboard that the tests use.
type Dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Panels        []Panel  `json:"panels"`
	Templating    struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Links []struct {
		URL string `json:"url"`
	} `json:"links"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

// Variable is a variable at the top of the dashboard.
type Variable struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Definition string     `json:"definition"`
	Datasource Datasource `json:"datasource"`
}

// Datasource is a source of data.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is the title of a row, or a visualization of queries.
type Panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  Datasource `json:"datasource"`
	GridPos     struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit   string `json:"unit"`
			Custom struct {
				DrawStyle string `json:"drawStyle"`
			} `json:"custom"`
			Thresholds struct {
				Steps []struct {
					Color string   `json:"color"`
					Value *float64 `json:"value"`
				} `json:"steps"`
			} `json:"thresholds"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []Target `json:"targets"`
}

// Target is a query of a panel.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
}

// ReadDashboard reads the dashboard of a folder config.
func ReadDashboard(config string) (*Dashboard, error) {
	path := filepath.Join(config, DashboardPath)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dashboard := &Dashboard{}
	if err := json.Unmarshal(content, dashboard); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return dashboard, nil
}

// variable is a variable in a query.
var variable = regexp.MustCompile(`\$\{?(\w+)\}?`)

// Variables lists the variables that a query uses.
func Variables(query string) []string {
	var names []string
	for _, match := range variable.FindAllStringSubmatch(query, -1) {
		names = append(names, match[1])
	}
	return names
}

// Interpolate puts values in the place of variables, as Grafana does before it sends a query.
func Interpolate(query string, values map[string]string) (string, error) {
	var missing []string
	interpolated := variable.ReplaceAllStringFunc(query, func(match string) string {
		value, ok := values[strings.Trim(match, "${}")]
		if !ok {
			missing = append(missing, match)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: no value for %v", query, missing)
	}
	return interpolated, nil
}
