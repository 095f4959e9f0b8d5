# The commands of this repository; make help lists them. They download Go modules and packages of the distribution, and nothing else.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

#? VERSION               version of what is built
VERSION    ?= v0.1.0
#? IMG, ACTION_IMG       images of the controller and of the built-in actions
IMG        ?= ghcr.io/kubernaut-io/workflowexecution-controller:$(VERSION)
ACTION_IMG ?= ghcr.io/kubernaut-io/workflowexecution-action:$(VERSION)
# Images of the samples and of the tests.
SAMPLE_IMG := localhost/workflowexecution/payment-api:v1
FAULTY_IMG := localhost/workflowexecution/faulty:v1
SHELL_IMG  := localhost/workflowexecution/shell:v1

#? CLUSTER               cluster to use: local (default), simulated or kind
CLUSTER    ?= local
#? KUBECONFIG            existing cluster to use instead; the KUBECONFIG of the shell is ignored, so that no other cluster is changed
KUBECONFIG :=
export CLUSTER
unexport KUBECONFIG
#? ARGO_VERSION          version of Argo Workflows on the local cluster and on kind: v3.7.18 (default) or v4.0.5
#? E2E_LABELS, E2E_PROCS label filter of the end-to-end specs (smoke for a few of them), and how many run at the same time
E2E_LABELS ?= !whole
E2E_PROCS  ?= 3

# All builds have the same flags, so that nothing is compiled twice. Only the race detector needs cgo.
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath)
export CGO_ENABLED := 0
LDFLAGS  := -s -w -X main.version=$(VERSION)
go_build := go build -buildvcs=false -ldflags='$(LDFLAGS)'
go_tool  := go tool -modfile=$(CURDIR)/test/tools/go.mod
BIN      := $(CURDIR)/bin

# Programs of test/cluster: it selects the cluster, and runs commands on it or with the binaries of envtest.
cluster    := go run -C test/cluster . --kubeconfig=$(KUBECONFIG)
on_cluster := $(cluster) exec --
with_pods  := $(cluster) exec --real-pods --
envtest    := $(cluster) envtest --
KUBECTL    ?= $$($(cluster) kubectl-path)

.PHONY: help demo install deploy undeploy cluster-up cluster-status cluster-down kind-up deploy-kind test-e2e-kind kind-down build images dist \
	generate verify lint test test-unit test-envtest test-gates test-observability test-e2e test-all test-documents test-page test-e2e-whole \
	test-faults test-simulated bench bench-whole supply-chain reproduce sbom vulncheck e2e-deploy installation

help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2} \
		/^#\? / {variables = variables "\n  " substr($$0, 4)} END {printf "\nVariables%s\n", variables}' $(MAKEFILE_LIST)

##@ Use it

demo: e2e-deploy ## Run the sample remediation on a local cluster, and show what it did.
	$(on_cluster) go run ./test/demo

install: ## Apply the CRD to the cluster.
	$(on_cluster) kubectl apply --server-side -k config/crd

deploy: images build installation ## Apply config/default to the cluster, with IMG and ACTION_IMG.
	$(cluster) load $(BIN)/manager.tar $(BIN)/action.tar
	$(on_cluster) kubectl apply --server-side --force-conflicts -k $(BIN)/installation
	$(cluster) run-controller --binary $(BIN)/manager
	$(on_cluster) kubectl -n workflowexecution-system rollout restart deployment/controller
	$(on_cluster) kubectl -n workflowexecution-system rollout status deployment/controller --timeout=120s

undeploy: ## Remove the executions, the controller and all it created; also works without a running controller.
	$(on_cluster) config/default/uninstall.sh

##@ A cluster to try it on

cluster-up: ## Start a local cluster with Argo Workflows, built from Go modules.
	$(cluster) up

cluster-status: ## Show the components of the cluster.
	$(cluster) status

cluster-down: ## Remove the cluster and everything that was created for it.
	$(cluster) down

on_kind := $(MAKE) --no-print-directory CLUSTER=kind

kind-up: ## Start a kind cluster with Argo Workflows, on the container engine of this machine.
	$(on_kind) cluster-up

deploy-kind: ## Deploy to the kind cluster, with the images of samples and tests.
	$(on_kind) e2e-deploy

test-e2e-kind: ## Run the end-to-end suite on the kind cluster.
	$(cluster) --mode=kind e2e --labels='$(E2E_LABELS)' --processes=$(E2E_PROCS) -- $(E2E_FLAGS)

kind-down: ## Remove the kind cluster.
	$(on_kind) cluster-down

##@ Build it

build: ## Build the binaries for this machine into bin/.
	$(go_build) -o $(BIN)/ ./cmd/manager ./cmd/action ./cmd/kubectl-wfe

images: ## Build the images without a container engine: archives in bin/, and layouts for registries in bin/oci.
	GOOS=linux $(go_build) -o $(BIN)/linux/ ./cmd/manager ./cmd/action ./test/e2e/images/...
	GOOS=linux go build -modfile=test/tools/go.mod -ldflags='-s -w' -o $(BIN)/linux/ mvdan.cc/sh/v3/cmd/gosh
	$(cluster) image --binary $(BIN)/linux/manager --name $(IMG) --output $(BIN)/manager.tar --layout $(BIN)/oci/manager
	$(cluster) image --binary $(BIN)/linux/action --name $(ACTION_IMG) --output $(BIN)/action.tar --layout $(BIN)/oci/action
	$(cluster) image --binary $(BIN)/linux/payment-api --name $(SAMPLE_IMG) --output $(BIN)/payment-api.tar
	$(cluster) image --binary $(BIN)/linux/faulty --name $(FAULTY_IMG) --output $(BIN)/faulty.tar
	$(cluster) image --binary $(BIN)/linux/gosh --entrypoint bin/sh --name $(SHELL_IMG) --output $(BIN)/shell.tar

dist: installation $(BIN)/helm ## Write the installers and the chart to dist/, with VERSION, IMG and ACTION_IMG.
	rm -rf dist $(BIN)/chart && mkdir dist && cp -r config/chart $(BIN)/chart
	$(KUBECTL) kustomize $(BIN)/installation > dist/install.yaml
	for part in prometheus grafana policy network-policy; do $(KUBECTL) kustomize config/$$part > dist/$$part.yaml || exit 1; done
	sed -i -e 's|^image: .*|image: $(IMG)|' -e 's|^  image: .*|  image: $(ACTION_IMG)|' $(BIN)/chart/values.yaml
	$(BIN)/helm package $(BIN)/chart --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist
	cp config/default/uninstall.sh dist/
	cd dist && sha256sum * > SHA256SUMS

# config/default with the images and the version. It is a folder of its own, so that deploying changes no file of the repository.
define INSTALLATION
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../config/default]
labels:
- pairs: {app.kubernetes.io/version: "$(VERSION)"}
patches:
- target: {kind: Deployment, name: controller}
  patch: '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "$(IMG)"}]'
- target: {kind: ClusterWorkflowTemplate}
  patch: '[{"op": "replace", "path": "/spec/templates/0/container/image", "value": "$(ACTION_IMG)"}]'
endef

installation:
	@: $(shell mkdir -p $(BIN)/installation)$(file >$(BIN)/installation/kustomization.yaml,$(INSTALLATION))

$(BIN)/helm: test/tools/helm.mod
	go build -modfile=test/tools/helm.mod -ldflags='-s -w' -o $@ helm.sh/helm/v4/cmd/helm

##@ Change it

generate: ## Write all generated files.
	$(go_tool) controller-gen object paths=./api/...
	$(go_tool) controller-gen crd paths=./api/... output:crd:dir=config/crd
	go generate ./...
	go run -C test/observability/generate . $(CURDIR)/config

verify: generate ## Fail if a generated file differs from its source, or if the CRD breaks with that of a release.
	@mkdir -p $(BIN)
	@git diff --exit-code -- api config controllers/metrics/README.md || { echo "generated files differ: commit the output of make generate" >&2; exit 1; }
	@for released in api/v1alpha1/testdata/*/crd.yaml; do \
		go tool -modfile=$(CURDIR)/test/tools/crdify.mod crdify --config test/tools/crdify.yaml file://$$released file://config/crd/workflowexecution.kubernaut.io_workflowexecutions.yaml > $(BIN)/crdify.txt \
			|| { cat $(BIN)/crdify.txt; echo "the CRD is not compatible with $$released" >&2; exit 1; }; done
	@untracked=$$(git ls-files --others --exclude-standard -- api config); test -z "$$untracked" || { echo "generated files are not committed: $$untracked" >&2; exit 1; }

lint: ## Run the linters.
	$(go_tool) golangci-lint run --allow-parallel-runners ./...
	for module in test/clients test/cluster test/observability test/observability/generate; do \
		(cd $$module && $(go_tool) golangci-lint run --allow-parallel-runners -c $(CURDIR)/.golangci.yaml ./...) || exit 1; done

test: verify lint test-unit test-envtest test-gates test-observability test-e2e ## Run what CI runs: verify, lint, test-unit, test-envtest, test-gates, test-observability and test-e2e.

# Parts of test: unit tests with the race detector.
test-unit: $(BIN)/helm
	$(envtest) env HELM=$(BIN)/helm CGO_ENABLED=1 \
		go test -race $$(go list ./... | grep -v -e /controllers$$ -e /test/e2e$$ -e /test/faults$$ -e /test/documents/walk$$ -e /test/perf$$)
	go test -C test/cluster ./...
	go test -C test/observability .
	$(envtest) go test -C test/clients ./kstatus/

# The suite of the controller on a real API server and etcd, with a selection of the faults.
test-envtest:
	$(envtest) env CGO_ENABLED=1 go test -race ./controllers/ -ginkgo.label-filter='!whole' -rapid.checks=30

# Bounds of what the controller costs: writes, allocations, growth (test/perf/README.md).
test-gates:
	$(envtest) go test -count=1 ./test/perf/

# The rules and the dashboard, compared with what a real Prometheus scrapes from the controller.
test-observability: e2e-deploy
	$(with_pods) go test -C test/observability -count=1 -timeout 10m ./live/

test-e2e: e2e-deploy ## Run the end-to-end suite on the cluster.
	$(cluster) e2e --labels='$(E2E_LABELS)' --processes=$(E2E_PROCS) -- $(E2E_FLAGS)

test-all: test-documents test test-page test-e2e-whole test-faults test-simulated ## Run all tests: those of test, test-documents, test-page, test-e2e-whole, test-faults and test-simulated.

test-documents: cluster-up images build installation $(BIN)/helm ## Run every command of the documents on a local cluster.
	$(cluster) load $(BIN)/manager.tar $(BIN)/action.tar $(BIN)/payment-api.tar $(BIN)/faulty.tar $(BIN)/shell.tar
	$(with_pods) go test -count=1 -timeout 20m ./test/documents/walk/

# The long end-to-end specs: every action of the catalog, 500 steps, and the Argo server.
test-e2e-whole: e2e-deploy
	$(cluster) load $$($(cluster) argo-server-images)
	$(cluster) e2e --labels=whole --processes=$(E2E_PROCS) -- $(E2E_FLAGS)

# The pages of the plugin in Chromium, and its pictures in Mermaid and Graphviz.
test-page: $(BIN)/mermaid.min.js
	@for need in chromium dot:graphviz; do \
		command -v $${need%:*} >/dev/null || { echo "installing $${need#*:} with apt-get, as root" >&2; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $${need#*:} fonts-dejavu-core || exit 1; }; done
	$(envtest) env MERMAID=$< go test -C test/clients -count=1 ./dashboard/ ./graph/

# The npm package of Mermaid contains one file for browsers, which needs no other package.
MERMAID_VERSION := 12.3.0
$(BIN)/mermaid.min.js:
	@mkdir -p $(BIN)
	@command -v npm >/dev/null || { echo "installing npm with apt-get, as root" >&2; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm; }
	cd $(BIN) && package=$$(npm pack --silent mermaid@$(MERMAID_VERSION)) && tar -xzOf $$package package/dist/mermaid.min.js > $@.part && rm $$package && mv $@.part $@

test-faults: ## Run every case of every fault that test/faults/README.md lists.
	$(envtest) go test -timeout 60m ./controllers/ -ginkgo.label-filter='whole' -rapid.checks=500
	$(envtest) go test -timeout 60m -count=1 ./test/faults/

# The demo on a simulated cluster, which needs no rights.
test-simulated:
	$(MAKE) --no-print-directory CLUSTER=simulated demo; code=$$?; $(MAKE) --no-print-directory CLUSTER=simulated cluster-down && exit $$code

e2e-deploy: cluster-up deploy
	$(cluster) load $(BIN)/payment-api.tar $(BIN)/faulty.tar $(BIN)/shell.tar

bench: ## Measure the controller on its own API server; results in .bench/results.json. BENCH_FLAGS='-only create -count 10000'
	$(envtest) go run ./test/perf $(BENCH_FLAGS)

bench-whole: ## Measure whole executions on a local cluster.
	$(cluster) up --fsync
	$(MAKE) --no-print-directory deploy
	$(with_pods) go run ./test/perf -only whole

supply-chain: reproduce sbom vulncheck ## Build the images twice and compare them, write SBOMs, and check for vulnerabilities: reproduce, sbom and vulncheck.

go_supply := go tool -modfile=$(CURDIR)/test/tools/supply.mod

# The images, built again in another folder with an empty cache, have the same digests.
reproduce: images
	rm -rf $(BIN)/again && mkdir -p $(BIN)/again/source
	git ls-files -z -- go.mod go.sum api translate controllers cmd config | xargs -0 cp --parents -t $(BIN)/again/source
	cd $(BIN)/again/source && GOCACHE=$(BIN)/again/cache GOOS=linux $(go_build) -o $(BIN)/again/ ./cmd/manager ./cmd/action
	$(cluster) image --binary $(BIN)/again/manager --name $(IMG) --output $(BIN)/again/manager.tar --layout $(BIN)/again/oci/manager
	$(cluster) image --binary $(BIN)/again/action --name $(ACTION_IMG) --output $(BIN)/again/action.tar --layout $(BIN)/again/oci/action
	for image in manager action; do cmp $(BIN)/oci/$$image/index.json $(BIN)/again/oci/$$image/index.json || exit 1; done
	rm -rf $(BIN)/again

# The modules in the binaries, as bin/*.cdx.json in the format CycloneDX.
sbom: build
	for binary in manager action kubectl-wfe; do $(go_supply) cyclonedx-gomod bin -json -output $(BIN)/$$binary.cdx.json -version $(VERSION) $(BIN)/$$binary || exit 1; done

#? VULNDB                database of vulnerabilities, such as https://vuln.go.dev; the default is the pinned Go module
VULNDB ?=

# Known vulnerabilities that the programs can reach.
vulncheck:
	@mkdir -p $(BIN)
	@database='$(VULNDB)'; if [ -z "$$database" ]; then \
		module=$$(go list -modfile=$(CURDIR)/test/tools/supply.mod -m -f '{{.Dir}} {{.Version}}' golang.org/x/vulndb) && \
		$(go_supply) indexdb -vulns $${module% *}/data/osv -out $(BIN)/vulndb && database=file://$(BIN)/vulndb && \
		echo "the database is golang.org/x/vulndb $${module#* }, which contains no newer vulnerabilities" || exit 1; fi; \
	$(go_supply) govulncheck -db $$database ./cmd/... 2>$(BIN)/vulncheck.txt; code=$$?; cat $(BIN)/vulncheck.txt >&2; \
	if grep -q 'fetching vulnerabilities' $(BIN)/vulncheck.txt; then echo "$$database is not reachable: NOTHING was checked" >&2; fi; exit $$code
