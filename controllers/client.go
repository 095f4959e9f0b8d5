package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
)

// NewClient makes clients for managers. The answer to an update of an execution's status is its metadata alone, which is all
// that is new to whoever sent the rest: so the API server has no object to encode, and nobody has one to decode.
// The options need an HTTP client, as a manager gives them one; such updates pass over DryRun, FieldOwner and FieldValidation.
func NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	c, err := client.NewWithWatch(config, options)
	if err != nil {
		return nil, err
	}
	kind := wfev1.GroupVersion.WithKind(wfev1.Kind)
	executions, err := apiutil.RESTClientForGVK(kind, false, false, config, serializer.NewCodecFactory(c.Scheme()), options.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("make a client of executions: %w", err)
	}
	return terse{WithWatch: c, executions: executions}, nil
}

// terse is a client of a few words about statuses.
type terse struct {
	client.WithWatch
	executions rest.Interface
}

func (t terse) Status() client.SubResourceWriter { return t.SubResource("status") }

func (t terse) SubResource(name string) client.SubResourceClient {
	c := t.WithWatch.SubResource(name)
	if name != "status" {
		return c
	}
	return terseStatus{SubResourceClient: c, executions: t.executions}
}

type terseStatus struct {
	client.SubResourceClient
	executions rest.Interface
}

// metadataOnly is the media type of an object's metadata.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

func (s terseStatus) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	wfe, isExecution := object.(*wfev1.WorkflowExecution)
	if !isExecution || len(options) > 0 {
		return s.SubResourceClient.Update(ctx, object, options...)
	}
	answer := s.executions.Put().Namespace(wfe.Namespace).Resource("workflowexecutions").Name(wfe.Name).SubResource("status").
		SetHeader("Accept", metadataOnly).Body(wfe).Do(ctx)
	if err := answer.Error(); err != nil {
		return err
	}
	content, err := answer.Raw()
	if err != nil {
		return err
	}
	var updated metav1.PartialObjectMetadata
	if err := json.Unmarshal(content, &updated); err != nil {
		return fmt.Errorf("read the answer to an update of a status: %w", err)
	}
	wfe.ObjectMeta = updated.ObjectMeta
	return nil
}
