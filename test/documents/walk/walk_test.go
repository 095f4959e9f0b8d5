package walk

import (
	"fmt"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/documents"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestDocuments runs every command of the documents, then uninstalls everything.
func TestDocuments(t *testing.T) {
	f := newFixture(t)
	f.must(t, remove) // succeeds also if nothing is installed
	f.must(t, prepare)
	before := f.everything(t)
	t.Cleanup(func() { f.must(t, restore) })

	files, err := documents.Files(f.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		blocks, err := documents.Read(f.root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks {
			if block.Mode == documents.ByHand {
				continue
			}
			if !t.Run(fmt.Sprintf("%s:%d", file, block.Line), func(t *testing.T) { f.follow(t, block) }) {
				return // later blocks build on earlier ones
			}
		}
	}
	f.must(t, "config/default/uninstall.sh")
	f.must(t, cleanUp)
	f.expectNothingLeft(t, before)
}

// TestUninstallWithoutController uninstalls while executions run and the controller is gone.
func TestUninstallWithoutController(t *testing.T) {
	f := newFixture(t)
	f.must(t, remove)
	f.must(t, prepare)
	before := f.everything(t)
	t.Cleanup(func() { f.must(t, restore) })
	f.install(t)
	f.must(t, `
kubectl apply -k config/samples/payment-api
kubectl apply -f config/samples/approval.yaml
kubectl wait -n production --for=jsonpath='{.status.phase}'=AwaitingApproval wfe/payment-api-approval --timeout=120s
kubectl -n `+testutil.SystemNamespace+` delete deployment controller --wait
kubectl delete -k config/crd
`)
	f.must(t, "config/default/uninstall.sh")
	f.must(t, cleanUp)
	f.expectNothingLeft(t, before)
}

// follow runs the commands of a block.
func (f *fixture) follow(t *testing.T, block documents.Block) {
	if block.Mode != documents.Offline {
		f.prepareFor(t, block.Mode)
	}
	for _, command := range block.Commands {
		printed, code := f.shell(t, block.Mode, command.Text)
		if code != command.ExitCode {
			t.Fatalf("%s:%d: exit code %d, want %d", block.Document, command.Line, code, command.ExitCode)
		}
		if err := command.Compare(printed); err != nil {
			t.Fatalf("%s:%d: %v", block.Document, command.Line, err)
		}
	}
}

const (
	// operator finds the CRDs of the Prometheus operator, which the documents assume.
	operator = `
go mod download -modfile=test/tools/definitions.mod github.com/prometheus-operator/prometheus-operator
definitions=$(go list -m -modfile=test/tools/definitions.mod -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd
definitions="-f $definitions/monitoring.coreos.com_servicemonitors.yaml -f $definitions/monitoring.coreos.com_prometheusrules.yaml"
`
	// prepare installs the operator's CRDs and creates a namespace for Grafana.
	prepare = operator + `
kubectl apply --server-side $definitions
kubectl create namespace monitoring --dry-run=client -o yaml | kubectl apply -f -
`
	// cleanUp removes what the uninstallation leaves to the user.
	cleanUp = `
kubectl delete --ignore-not-found namespace production demo
kubectl delete --ignore-not-found -f config/samples/actions
`
	// restore undoes prepare.
	restore = cleanUp + operator + `
kubectl delete --ignore-not-found $definitions
kubectl delete --ignore-not-found namespace monitoring
`
)
