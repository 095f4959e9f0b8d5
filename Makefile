# The commands of this repository. Nothing is downloaded but Go modules and the distribution's packages.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

VERSION    ?= v0.1.0
IMG        ?= ghcr.io/kubernaut-io/workflowexecution-controller:$(VERSION)
ACTION_IMG ?= ghcr.io/kubernaut-io/workflowexecution-action:$(VERSION)
SAMPLE_IMG := localhost/workflowexecution/payment-api:v1
FAULTY_IMG := localhost/workflowexecution/faulty:v1
SHELL_IMG  := localhost/workflowexecution/shell:v1

# The same flags everywhere, so that nothing is compiled twice: static binaries, and cgo for the race detector alone.
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath)
export CGO_ENABLED := 0

BIN        := $(CURDIR)/bin
ARCHIVES   := $(foreach name,manager action payment-api faulty shell,$(BIN)/$(name).tar)
# The local cluster's, whatever the shell has: nobody's own cluster is touched by mistake. To use another cluster, say so:
# make test-e2e KUBECONFIG=… (then it must have Argo, and be able to pull the images).
# CLUSTER=kind means the one of kind instead, everywhere. CLUSTER=simulated lets pods of the local one do nothing, which needs no rights;
# without root, or not on Linux, it is like that in any case.
CLUSTER    ?= local
KUBECONFIG := $(CURDIR)/.cluster/$(if $(filter kind,$(CLUSTER)),kind-)kubeconfig
export CLUSTER KUBECONFIG
is_ours    := $(filter $(CURDIR)/.cluster/%kubeconfig,$(KUBECONFIG))

cluster    = go run -C test/cluster .$(if $(filter %/.cluster/simulated-kubeconfig,$(KUBECONFIG)), --kubeconfig=$(KUBECONFIG))
KUBECTL    ?= $$($(cluster) kubectl-path)
# Our node image of kind is for a cluster of one node, and only the local cluster's processes are known to be on this machine.
unlike     = $(if $(filter v4%,$(ARGO_VERSION)), && !argo-3)$(if $(filter %/kind-kubeconfig,$(KUBECONFIG)), && !two-nodes)$(if $(filter %/.cluster/kubeconfig,$(KUBECONFIG)),, && !same-host)
real_pods  = $(if $(is_ours),$(cluster) require-pods)
# An image is made of a program for Linux; elsewhere no pod would run it.
packed     = $(if $(filter Linux,$(shell uname)),images,build)
run_e2e    = KUBECTL=$(KUBECTL) go run github.com/onsi/ginkgo/v2/ginkgo --procs=$(E2E_PROCS) --timeout=40m --label-filter='$(1)$(unlike)' $(E2E_FLAGS) ./test/e2e
# How many specs run at a time: they mostly wait for pods. Which ones: smoke is the few that tell whether a cluster works at all.
E2E_PROCS  ?= 3
E2E_LABELS ?= !whole
tool       = go tool -modfile=$(CURDIR)/test/tools/go.mod
LDFLAGS    := -s -w -X main.version=$(VERSION)

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: e2e-deploy ## Run the sample remediation on a local cluster and show what happened.
	PATH=$(BIN):$$PATH KUBECTL=$(KUBECTL) go run ./test/demo

##@ Test

.PHONY: test
test: verify lint test-unit test-envtest test-gates test-observability test-e2e ## Run what CI runs.

.PHONY: test-all
test-all: test-documents test test-page test-e2e-whole test-faults test-simulated ## Run everything there is, for an hour or so.

.PHONY: test-unit
test-unit: $(BIN)/helm ## Run the unit tests with the race detector.
	assets=$$($(cluster) envtest-assets) && kubectl=$(KUBECTL) && \
		KUBEBUILDER_ASSETS=$$assets KUBECTL=$$kubectl HELM=$(BIN)/helm CGO_ENABLED=1 \
		go test -race $$(go list ./... | grep -v -e /controllers$$ -e /test/e2e$$ -e /test/faults$$ -e /test/documents/walk$$ -e /test/perf$$)
	go test -C test/cluster ./...
	go test -C test/observability .
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets go test -C test/clients ./kstatus/

.PHONY: test-page
test-page: $(BIN)/mermaid.min.js ## Ask other programs: Chromium, Mermaid and Graphviz; installs by apt what is missing, as root.
	@for need in chromium dot:graphviz; do \
		command -v $${need%:*} >/dev/null || { echo "installing $${need#*:} by apt-get, as root" >&2; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $${need#*:} fonts-dejavu-core || exit 1; }; done
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets MERMAID=$< go test -C test/clients -count=1 ./page/ ./pictures/

# Mermaid as its npm package has it: one file for browsers, without what it depends on.
MERMAID_VERSION := 12.3.0
$(BIN)/mermaid.min.js:
	@mkdir -p $(BIN)
	@command -v npm >/dev/null || { echo "installing npm by apt-get, as root" >&2; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm; }
	cd $(BIN) && package=$$(npm pack --silent mermaid@$(MERMAID_VERSION)) && tar -xzOf $$package package/dist/mermaid.min.js > $@.part && rm $$package && mv $@.part $@

.PHONY: test-envtest
test-envtest: ## Run the controller's suite against a real API server and etcd, with a selection of the faults.
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets CGO_ENABLED=1 go test -race ./controllers/ -ginkgo.label-filter='!whole' -rapid.checks=30

.PHONY: test-gates
test-gates: ## Hold what the controller costs to bounds: writes, allocations, growth (test/perf/README.md).
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets go test -count=1 ./test/perf/

.PHONY: test-faults
test-faults: ## Run every case of every fault: test/faults/README.md lists them.
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets \
		go test -timeout 60m ./controllers/ -ginkgo.label-filter='whole' -rapid.checks=500 && KUBEBUILDER_ASSETS=$$assets \
		go test -timeout 60m -count=1 ./test/faults/

.PHONY: test-e2e
test-e2e: e2e-deploy ## Run the end-to-end suite on the cluster of KUBECONFIG, or on a local one.
	$(real_pods)
	$(call run_e2e,$(E2E_LABELS))

.PHONY: test-documents
test-documents: cluster-up images installation $(BIN)/helm ## Run every command of the documents on a local cluster, up to the uninstallation.
	$(real_pods)
	$(cluster) load $(ARCHIVES)
	ln -sf $(KUBECTL) $(BIN)/kubectl
	KUBECTL=$(BIN)/kubectl go test -count=1 -timeout 20m ./test/documents/walk/

.PHONY: test-e2e-whole
test-e2e-whole: e2e-deploy ## Run its long specs: every action of the catalog, 500 steps, and the Argo server.
	$(real_pods)
	$(if $(is_ours),$(cluster) load $$($(cluster) argo-server-images))
	$(call run_e2e,whole)

.PHONY: test-observability
test-observability: e2e-deploy ## Let a real Prometheus watch the controller work, and check what rules and dashboard say.
	$(real_pods)
	go test -C test/observability -count=1 -timeout 10m ./live/

# A cluster of its own, so that the local one stays as it is.
in_simulated = $(MAKE) --no-print-directory CLUSTER=simulated CLUSTER_NAME=sim-$(shell printf %s '$(CURDIR)' | cksum | cut -c1-6) \
	KUBECONFIG=$(CURDIR)/.cluster/simulated-kubeconfig

.PHONY: test-simulated
test-simulated: ## Run the demo where pods do nothing, on a cluster that needs no rights, and remove it.
	$(in_simulated) demo; code=$$?; $(in_simulated) cluster-down && exit $$code

.PHONY: e2e-deploy
e2e-deploy: $(if $(is_ours),cluster-up) deploy
	$(if $(is_ours),$(cluster) load $(filter-out %/manager.tar %/action.tar,$(ARCHIVES)))

.PHONY: bench
bench: ## Measure the controller beside what it costs without it; results in .bench/results.json. BENCH_FLAGS='-only create -count 10000'.
	assets=$$($(cluster) envtest-assets) && KUBEBUILDER_ASSETS=$$assets go run ./test/perf $(BENCH_FLAGS)

.PHONY: bench-whole
bench-whole: ## Measure whole runs on a local cluster with fsync, and settings of Argo's.
	$(cluster) up --fsync
	$(real_pods)
	$(MAKE) --no-print-directory deploy
	go run ./test/perf -only whole,argo

##@ Check

.PHONY: generate
generate: ## Write every generated file anew.
	$(tool) controller-gen object paths=./api/...
	$(tool) controller-gen crd paths=./api/... output:crd:dir=config/crd
	go generate ./...
	go run -C test/observability/generate . $(CURDIR)/config

.PHONY: verify
verify: generate ## Fail when a generated file is not what its source says, or the CRD is not compatible with a release's.
	@mkdir -p $(BIN)
	@git diff --exit-code -- api config controllers/metrics/README.md || { echo "generated files differ: commit the output of make generate" >&2; exit 1; }
	@for released in api/v1alpha1/testdata/*/crd.yaml; do \
		go tool -modfile=$(CURDIR)/test/tools/crdify.mod crdify --config test/tools/crdify.yaml file://$$released file://config/crd/workflowexecution.kubernaut.io_workflowexecutions.yaml > $(BIN)/crdify.txt \
			|| { cat $(BIN)/crdify.txt; echo "the CRD breaks with $$released" >&2; exit 1; }; done
	@untracked=$$(git ls-files --others --exclude-standard -- api config); test -z "$$untracked" || { echo "generated files are not committed: $$untracked" >&2; exit 1; }

.PHONY: lint
lint: ## Run the linters.
	$(tool) golangci-lint run --allow-parallel-runners ./...
	for module in test/clients test/cluster test/observability test/observability/generate; do \
		(cd $$module && $(tool) golangci-lint run --allow-parallel-runners -c $(CURDIR)/.golangci.yaml ./...) || exit 1; done

##@ Local cluster

.PHONY: cluster-up
cluster-up: ## Start a cluster from Go modules, with Argo.
	$(cluster) up

.PHONY: cluster-down
cluster-down: ## Stop it and remove all that it made.
	$(cluster) down

.PHONY: cluster-status
cluster-status: ## Show what runs.
	$(cluster) status

##@ kind

in_kind = $(MAKE) --no-print-directory CLUSTER=kind

.PHONY: kind-up
kind-up: ## Start a cluster of kind with Argo, on the container engine that runs.
	$(in_kind) cluster-up

.PHONY: deploy-kind
deploy-kind: ## Do there what deploy does, and load the images of the samples.
	$(in_kind) e2e-deploy

.PHONY: test-e2e-kind
test-e2e-kind: KUBECONFIG := $(CURDIR)/.cluster/kind-kubeconfig
test-e2e-kind: ## Run the end-to-end suite there; E2E_LABELS=smoke for a few specs.
	$(call run_e2e,$(E2E_LABELS))

.PHONY: kind-down
kind-down: ## Delete the cluster of kind.
	$(in_kind) cluster-down

.PHONY: kind-node-image
kind-node-image: ## Make kind's node image from Go modules and Debian packages, where no registry is reachable.
	$(cluster) kind-node-image

.PHONY: kind-engine-up
kind-engine-up: ## Start a private container engine, where none runs and we are root on Debian.
	$(cluster) kind-engine-up

.PHONY: kind-engine-down
kind-engine-down: ## Stop the private engine and remove all that it made.
	$(cluster) kind-engine-down

##@ Build and install

.PHONY: build
build: ## Build the static binaries into bin/.
	go build -buildvcs=false -ldflags='$(LDFLAGS)' -o $(BIN)/ ./cmd/manager ./cmd/action ./cmd/kubectl-wfe ./test/e2e/images/...
	go build -modfile=test/tools/go.mod -ldflags='-s -w' -o $(BIN)/ mvdan.cc/sh/v3/cmd/gosh

.PHONY: images
images: build ## Make the images without a container engine: archives in bin/, and layouts for registries in bin/oci.
	$(cluster) image --binary $(BIN)/manager --name $(IMG) --output $(BIN)/manager.tar --layout $(BIN)/oci/manager
	$(cluster) image --binary $(BIN)/action --name $(ACTION_IMG) --output $(BIN)/action.tar --layout $(BIN)/oci/action
	$(cluster) image --binary $(BIN)/payment-api --name $(SAMPLE_IMG) --output $(BIN)/payment-api.tar
	$(cluster) image --binary $(BIN)/faulty --name $(FAULTY_IMG) --output $(BIN)/faulty.tar
	$(cluster) image --binary $(BIN)/gosh --entrypoint bin/sh --name $(SHELL_IMG) --output $(BIN)/shell.tar

# config/default with these images and this version. It is written beside config, so that deploying changes no file of git's.
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

.PHONY: installation
installation:
	@: $(shell mkdir -p $(BIN)/installation)$(file >$(BIN)/installation/kustomization.yaml,$(INSTALLATION))

.PHONY: install
install: ## Apply the CRD to the cluster of KUBECONFIG.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: deploy
deploy: $(packed) installation ## Load the images, and apply config/default with IMG and ACTION_IMG.
	$(if $(is_ours),$(cluster) load $(BIN)/manager.tar $(BIN)/action.tar)
	$(KUBECTL) apply --server-side --force-conflicts -k $(BIN)/installation
	$(if $(is_ours),$(cluster) run-controller --binary $(BIN)/manager)
	$(KUBECTL) -n workflowexecution-system rollout restart deployment/controller
	$(KUBECTL) -n workflowexecution-system rollout status deployment/controller --timeout=120s

.PHONY: undeploy
undeploy: ## Remove all of it and all that it made, executions first; also when the controller is gone already.
	KUBECTL="$(KUBECTL)" config/default/uninstall.sh

.PHONY: dist
dist: installation $(BIN)/helm ## Write the installers and the chart, with VERSION, IMG and ACTION_IMG in them, into dist/.
	rm -rf dist $(BIN)/chart && mkdir dist && cp -r config/chart $(BIN)/chart
	$(KUBECTL) kustomize $(BIN)/installation > dist/install.yaml
	for part in prometheus grafana policy network-policy; do $(KUBECTL) kustomize config/$$part > dist/$$part.yaml || exit 1; done
	sed -i -e 's|^image: .*|image: $(IMG)|' -e 's|^  image: .*|  image: $(ACTION_IMG)|' $(BIN)/chart/values.yaml
	$(BIN)/helm package $(BIN)/chart --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist
	cp config/default/uninstall.sh dist/
	cd dist && sha256sum * > SHA256SUMS

$(BIN)/helm: test/tools/helm.mod
	go build -modfile=test/tools/helm.mod -ldflags='-s -w' -o $@ helm.sh/helm/v4/cmd/helm

##@ Supply chain

supply = go tool -modfile=$(CURDIR)/test/tools/supply.mod
# The database of vulnerabilities: a folder or a server. Without one, the one of the Go module that is pinned with the tools.
VULNDB ?=

.PHONY: reproduce
reproduce: images ## Build the images again elsewhere, with an empty cache, and compare their digests.
	rm -rf $(BIN)/again && mkdir -p $(BIN)/again/source
	git ls-files -z -- go.mod go.sum api translate controllers cmd config | xargs -0 cp --parents -t $(BIN)/again/source
	cd $(BIN)/again/source && GOCACHE=$(BIN)/again/cache go build -buildvcs=false -ldflags='$(LDFLAGS)' -o $(BIN)/again/ ./cmd/manager ./cmd/action
	$(cluster) image --binary $(BIN)/again/manager --name $(IMG) --output $(BIN)/again/manager.tar --layout $(BIN)/again/oci/manager
	$(cluster) image --binary $(BIN)/again/action --name $(ACTION_IMG) --output $(BIN)/again/action.tar --layout $(BIN)/again/oci/action
	for image in manager action; do cmp $(BIN)/oci/$$image/index.json $(BIN)/again/oci/$$image/index.json || exit 1; done
	rm -rf $(BIN)/again

.PHONY: sbom
sbom: build ## Write what the binaries are made of to bin/*.cdx.json, in the format CycloneDX.
	for binary in manager action kubectl-wfe; do $(supply) cyclonedx-gomod bin -json -output $(BIN)/$$binary.cdx.json -version $(VERSION) $(BIN)/$$binary || exit 1; done

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities that the programs can run into; VULNDB=https://vuln.go.dev asks for today's.
	@mkdir -p $(BIN)
	@database='$(VULNDB)'; if [ -z "$$database" ]; then \
		module=$$(go list -modfile=$(CURDIR)/test/tools/supply.mod -m -f '{{.Dir}} {{.Version}}' golang.org/x/vulndb) && \
		$(supply) indexdb -vulns $${module% *}/data/osv -out $(BIN)/vulndb && database=file://$(BIN)/vulndb && \
		echo "the database is golang.org/x/vulndb $${module#* }: newer vulnerabilities are not looked for" || exit 1; fi; \
	$(supply) govulncheck -db $$database ./cmd/... 2>$(BIN)/vulncheck.txt; code=$$?; cat $(BIN)/vulncheck.txt >&2; \
	if grep -q 'fetching vulnerabilities' $(BIN)/vulncheck.txt; then echo "$$database cannot be reached: NOTHING was checked" >&2; fi; exit $$code
