package walk

import (
	"fmt"
	"testing"

	"github.com/kubernaut-io/workflowexecution/test/documents"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestDocuments does what the documents say, and removes it again.
func TestDocuments(t *testing.T) {
	w := newWorld(t)
	w.must(t, remove) // also works where nothing is
	w.must(t, prepare)
	before := w.everything(t)
	t.Cleanup(func() { w.must(t, restore) })

	files, err := documents.Files(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		blocks, err := documents.Read(w.root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks {
			if block.Mode == documents.ByHand {
				continue
			}
			if !t.Run(fmt.Sprintf("%s:%d", file, block.Line), func(t *testing.T) { w.follow(t, block) }) {
				return // a document is a story: what comes next builds on it
			}
		}
	}
	w.must(t, "config/default/uninstall.sh")
	w.must(t, cleanUp)
	w.expectNothingLeft(t, before)
}

// TestUninstallWithoutController removes executions in the middle of their lives when nobody is there to end them.
func TestUninstallWithoutController(t *testing.T) {
	w := newWorld(t)
	w.must(t, remove)
	w.must(t, prepare)
	before := w.everything(t)
	t.Cleanup(func() { w.must(t, restore) })
	w.install(t)
	w.must(t, `
kubectl apply -k config/samples/payment-api
kubectl apply -f config/samples/approval.yaml
kubectl wait -n production --for=jsonpath='{.status.phase}'=AwaitingApproval wfe/payment-api-approval --timeout=120s
kubectl -n `+testutil.SystemNamespace+` delete deployment controller --wait
kubectl delete -k config/crd
`)
	w.must(t, "config/default/uninstall.sh")
	w.must(t, cleanUp)
	w.expectNothingLeft(t, before)
}

// follow runs the commands of a block.
func (w *world) follow(t *testing.T, block documents.Block) {
	if block.Mode != documents.Offline {
		w.bring(t, block.Mode)
	}
	for _, command := range block.Commands {
		printed, code := w.shell(t, block.Mode, command.Text)
		if code != command.ExitCode {
			t.Fatalf("%s:%d: exit code %d, want %d", block.Document, command.Line, code, command.ExitCode)
		}
		if err := command.Compare(printed); err != nil {
			t.Fatalf("%s:%d: %v", block.Document, command.Line, err)
		}
	}
}

const (
	// operator is the part of the Prometheus operator's module that documents take for granted.
	operator = `
go mod download -modfile=test/tools/definitions.mod github.com/prometheus-operator/prometheus-operator
definitions=$(go list -m -modfile=test/tools/definitions.mod -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd
definitions="-f $definitions/monitoring.coreos.com_servicemonitors.yaml -f $definitions/monitoring.coreos.com_prometheusrules.yaml"
`
	// prepare makes the kinds of the operator and a namespace for Grafana.
	prepare = operator + `
kubectl apply --server-side $definitions
kubectl create namespace monitoring --dry-run=client -o yaml | kubectl apply -f -
`
	// cleanUp removes what is the user's own.
	cleanUp = `
kubectl delete --ignore-not-found namespace production demo
kubectl delete --ignore-not-found -f config/samples/actions
`
	// restore takes back what prepare did.
	restore = cleanUp + operator + `
kubectl delete --ignore-not-found $definitions
kubectl delete --ignore-not-found namespace monitoring
`
)
