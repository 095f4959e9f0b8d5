package command

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/dashboard"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/page"
)

// shutdownTimeout bounds the wait for open pages during shutdown.
const shutdownTimeout = 2 * time.Second

// scope selects the executions of a dashboard, and its port.
type scope struct {
	allNamespaces bool
	selector      string
	port          uint16
}

func (s *session) newDashboard() *cobra.Command {
	var shown scope
	cmd := &cobra.Command{
		Use:     "dashboard [NAME]",
		GroupID: groupInspect,
		Short:   "Show executions in a browser, live",
		Long: `Serves web pages on the loopback interface until interrupted: the list of executions, and for each execution its next
commands, its timeline and its graph. The pages update live. They are read-only, use your own permissions, and open only
from the printed address, which contains a secret. The command installs and exposes nothing in the cluster.`,
		Example:           examples("kubectl wfe dashboard -A", "kubectl wfe dashboard payment-api-oom -n production --port 8081"),
		Args:              optionalArguments(1),
		ValidArgsFunction: s.executions(nil),
	}
	cmd.Flags().BoolVarP(&shown.allNamespaces, "all-namespaces", "A", false, "Show the executions in all namespaces.")
	cmd.Flags().StringVarP(&shown.selector, "selector", "l", "", "Label selector of the executions to show.")
	cmd.Flags().Uint16Var(&shown.port, "port", 0, "Port on the loopback interface; 0 selects a free port.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/"
		c, err := s.connect()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			wfe, err := c.get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			path = page.PathOf(wfe.Namespace, wfe.Name)
		}
		return s.serve(cmd.Context(), c, shown, path)
	}
	return cmd
}

// serve serves the dashboard until the context is done.
func (s *session) serve(ctx context.Context, c *connection, shown scope, path string) error {
	// Without this request, a missing permission would appear only as an empty page.
	probe := shown.options(c, metav1.ListOptions{Limit: 1})
	if err := c.List(ctx, &wfev1.WorkflowExecutionList{}, probe); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(shown.port))))
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	store := dashboard.NewStore()
	settings := dashboard.Settings{
		Store: store, Hosts: []string{"127.0.0.1:" + port, "localhost:" + port}, Token: rand.Text(),
		Scope: s.scopeText(c, shown), Flags: s.clusterFlags(), Now: s.Now,
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	synced := make(chan struct{})
	go func() {
		defer close(synced)
		c.syncStore(ctx, shown, store)
	}()
	server := &http.Server{
		Handler: dashboard.New(settings), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the event streams when the program ends
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.printLine("http://%s%s?%s", listener.Addr(), path, url.Values{"token": {settings.Token}}.Encode())
	s.warn("press Ctrl-C to stop")
	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = errors.Join(server.Shutdown(end), notClosed(<-served))
	}
	stop()
	<-synced
	return err
}

func notClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (shown scope) options(c *connection, raw metav1.ListOptions) *client.ListOptions {
	raw.LabelSelector = shown.selector
	options := &client.ListOptions{Raw: &raw}
	if !shown.allNamespaces {
		options.Namespace = c.namespace
	}
	return options
}

// syncStore copies the executions of the cluster to a store, with a single watch.
func (c *connection) syncStore(ctx context.Context, shown scope, store *dashboard.Store) {
	report := func(err error) {
		if err != nil && ctx.Err() == nil {
			store.Report(explain(err))
			return
		}
		store.Report("")
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			list := &wfev1.WorkflowExecutionList{}
			err := c.List(ctx, list, shown.options(c, raw))
			report(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			w, err := c.Watch(ctx, &wfev1.WorkflowExecutionList{}, shown.options(c, raw))
			report(err)
			return w, err
		},
	}
	put := func(object any) {
		if wfe, isExecution := object.(*wfev1.WorkflowExecution); isExecution {
			store.Put(wfe)
		}
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: source,
		ObjectType:    &wfev1.WorkflowExecution{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    put,
			UpdateFunc: func(_, object any) { put(object) },
			DeleteFunc: func(object any) {
				if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
					namespace, name, _ := strings.Cut(key, "/")
					store.Remove(namespace, name)
				}
			},
		},
		Transform: func(object any) (any, error) {
			if wfe, isExecution := object.(*wfev1.WorkflowExecution); isExecution {
				wfe.ManagedFields = nil // large, and not on any page
			}
			return object, nil
		},
	})
	// The page reports the error of a watch, and the informer starts the next one.
	controller.RunWithContext(klog.NewContext(ctx, logr.Discard()))
}

// scopeText returns the scope of a dashboard for its header.
func (s *session) scopeText(c *connection, shown scope) string {
	where := "namespace " + c.namespace
	if shown.allNamespaces {
		where = "all namespaces"
	}
	if shown.selector != "" {
		where += ", " + shown.selector
	}
	if name := s.contextName(); name != "" {
		where = "context " + name + ", " + where
	}
	return where
}

// contextName returns the name of the current context, or empty.
func (s *session) contextName() string {
	if *s.config.Context != "" {
		return *s.config.Context
	}
	config, err := s.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return ""
	}
	return config.CurrentContext
}

// clusterFlags returns the flags that select the current cluster. Users copy commands to other terminals, which can have
// another current context.
func (s *session) clusterFlags() []string {
	var flags []string
	if path := *s.config.KubeConfig; path != "" {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		flags = append(flags, "--kubeconfig="+path)
	}
	if name := s.contextName(); name != "" {
		flags = append(flags, "--context="+name)
	}
	return flags
}
