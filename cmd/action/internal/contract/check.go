package contract

import (
	"errors"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ObjectName rejects a value that cannot be the name of a Kubernetes object.
func ObjectName(value string) error {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// ContainerName rejects a value that cannot be the name of a container.
func ContainerName(value string) error {
	if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// NonNegative rejects a value that is not a whole number from 0 to 2147483647.
func NonNegative(value string) error {
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
		return errors.New("must be a whole number from 0 to 2147483647")
	}
	return nil
}

// Quantity rejects a value that is not a quantity like 500m or 2Gi.
func Quantity(value string) error {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() < 0 {
		return errors.New("must be a quantity like 500m or 2Gi")
	}
	return nil
}

// Selector rejects a value that is not a label selector.
func Selector(value string) error {
	if _, err := labels.Parse(value); err != nil {
		return errors.New("must be a label selector like app=payment,tier!=cache")
	}
	return nil
}
