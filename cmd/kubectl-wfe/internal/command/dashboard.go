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

// farewell bounds the wait for open pages at the end.
const farewell = 2 * time.Second

// scope is which executions a dashboard shows.
type scope struct {
	everywhere bool
	selector   string
	port       uint16
}

func (s *session) newDashboard() *cobra.Command {
	var shown scope
	cmd := &cobra.Command{
		Use:     "dashboard [NAME]",
		GroupID: groupLook,
		Short:   "Show executions in a browser, live",
		Long: `Serves pages on this machine's loopback until it is interrupted: the list of executions, and of each one what to do next,
its timeline and its graph. They change as the cluster does. The pages only show, with your own rights, and only to who
opens the address that is printed. In the cluster nothing is installed or exposed.`,
		Example:           examples("kubectl wfe dashboard -A", "kubectl wfe dashboard NAME -n production --port 8081"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.executions(nil),
	}
	cmd.Flags().BoolVarP(&shown.everywhere, "all-namespaces", "A", false, "Show the executions of all namespaces.")
	cmd.Flags().StringVarP(&shown.selector, "selector", "l", "", "Show the executions with these labels only.")
	cmd.Flags().Uint16Var(&shown.port, "port", 0, "Port on the loopback; 0 is any that is free.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/"
		c, err := s.connect()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if _, err := c.get(cmd.Context(), args[0]); err != nil {
				return err
			}
			path = page.PathOf(c.namespace, args[0])
		}
		return s.serve(cmd.Context(), c, shown, path)
	}
	return cmd
}

// serve serves the dashboard until the context ends.
func (s *session) serve(ctx context.Context, c *connection, shown scope, path string) error {
	// What may not be seen is told here, and not on a page that stays empty.
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
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		c.gather(ctx, shown, store)
	}()
	server := &http.Server{
		Handler: dashboard.New(settings), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // so that live pages end with the program
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.say("http://%s%s?%s", listener.Addr(), path, url.Values{"token": {settings.Token}}.Encode())
	s.warn("press Ctrl-C to end it")
	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		err = errors.Join(server.Shutdown(end), notClosed(<-served))
	}
	stop()
	<-gathered
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
	if !shown.everywhere {
		options.Namespace = c.namespace
	}
	return options
}

// gather keeps a store as the cluster is, by one watch.
func (c *connection) gather(ctx context.Context, shown scope, store *dashboard.Store) {
	told := func(err error) {
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
			told(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			w, err := c.Watch(ctx, &wfev1.WorkflowExecutionList{}, shown.options(c, raw))
			told(err)
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
				wfe.ManagedFields = nil // nobody reads them here, and they are large
			}
			return object, nil
		},
	})
	// What goes wrong with a watch is on the page, and put right by the next one.
	controller.RunWithContext(klog.NewContext(ctx, logr.Discard()))
}

// scopeText says what a dashboard looks at.
func (s *session) scopeText(c *connection, shown scope) string {
	where := "namespace " + c.namespace
	if shown.everywhere {
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

// contextName is the context of the kubeconfig that is used, or empty.
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

// clusterFlags name the cluster that is used: somebody copies a command into another terminal, where the current context
// may be another one.
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
