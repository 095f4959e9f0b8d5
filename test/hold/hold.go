// Package hold keeps requirements until the code that needs them is written.
package hold

import (
	_ "github.com/argoproj/argo-workflows/v3/workflow/packer"
	_ "github.com/argoproj/argo-workflows/v3/workflow/validate"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/onsi/ginkgo/v2"
	_ "github.com/onsi/gomega"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/testutil"
	_ "github.com/prometheus/client_golang/prometheus/testutil/promlint"
	_ "github.com/spf13/cobra"
	_ "go.uber.org/goleak"
	_ "k8s.io/client-go/kubernetes/fake"
	_ "k8s.io/kubectl/pkg/drain"
	_ "k8s.io/kubectl/pkg/polymorphichelpers"
	_ "pgregory.net/rapid"
	_ "sigs.k8s.io/controller-runtime"
	_ "sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	_ "sigs.k8s.io/controller-runtime/pkg/envtest"
	_ "sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	_ "sigs.k8s.io/yaml"
)
