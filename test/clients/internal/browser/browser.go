// Package browser opens pages in headless Chromium.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// ScreenshotsVariable is the environment variable with the folder for screenshots; without it, tests take none.
const ScreenshotsVariable = "SCREENSHOTS"

// timeout bounds each action and each wait.
const timeout = 30 * time.Second

// Tab is a tab in its own browser.
type Tab struct {
	ctx context.Context
	t   *testing.T

	lock   sync.Mutex
	errors []string
}

// Open opens a tab, which records the errors of scripts and violations of the content security policy.
func Open(t *testing.T, flags ...chromedp.ExecAllocatorOption) *Tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v; make test-page installs Chromium", err)
	}
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(program), chromedp.WindowSize(1280, 900), chromedp.Flag("force-device-scale-factor", "1"),
		// The sandbox does not work as root or in some containers, and the pages are trusted.
		chromedp.NoSandbox,
	)
	allocated, end := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(end)
	tab := &Tab{t: t}
	var closeTab context.CancelFunc
	tab.ctx, closeTab = chromedp.NewContext(allocated)
	t.Cleanup(closeTab)
	chromedp.ListenTarget(tab.ctx, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			tab.recordError(event.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if event.Entry.Level == log.LevelError {
				tab.recordError(event.Entry.Text)
			}
		}
	})
	if err := chromedp.Run(tab.ctx); err != nil { // starts the browser; the cleanup ends it
		t.Fatalf("start Chromium: %v", err)
	}
	return tab
}

func (tab *Tab) recordError(text string) {
	tab.lock.Lock()
	defer tab.lock.Unlock()
	tab.errors = append(tab.errors, text)
}

// TakeErrors returns the errors since the previous call.
func (tab *Tab) TakeErrors() []string {
	tab.lock.Lock()
	defer tab.lock.Unlock()
	taken := tab.errors
	tab.errors = nil
	return taken
}

// Do runs actions in order.
func (tab *Tab) Do(actions ...chromedp.Action) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, timeout)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		tab.t.Fatalf("%v; the page is:\n%s", err, tab.Text("document.body && document.body.innerText"))
	}
}

// Visit opens an address and waits until the page is live.
func (tab *Tab) Visit(address string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(address))
	tab.Await(`document.getElementById("link").className === "link on"`)
}

// Text returns the value of a JavaScript expression as text.
func (tab *Tab) Text(expression string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, timeout)
	defer cancel()
	var text string
	if err := chromedp.Run(ctx, chromedp.Evaluate("String("+expression+")", &text)); err != nil {
		tab.t.Errorf("%s: %v", expression, err)
	}
	return text
}

// Await waits until a JavaScript expression is true. It retries errors, because none can be evaluated during a page load.
func (tab *Tab) Await(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, timeout)
	defer cancel()
	for {
		is := false
		err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+expression+")", &is))
		if err == nil && is {
			return
		}
		select {
		case <-ctx.Done():
			tab.t.Fatalf("never true: %s (%v); the page is:\n%s", expression, err, tab.Text("location.href + document.body.innerText"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// For makes the tab report errors to a subtest.
func (tab *Tab) For(t *testing.T) *Tab {
	tab.t = t
	return tab
}

// Dark selects the dark or the light color scheme.
func (tab *Tab) Dark(dark bool) {
	tab.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}).Do(ctx)
	}))
}

// Screenshot writes an image of the whole page if ScreenshotsVariable is set.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	folder := os.Getenv(ScreenshotsVariable)
	if folder == "" {
		return
	}
	var picture []byte
	tab.Do(chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600); err != nil {
		tab.t.Fatal(err)
	}
}

// lowContrast lists the texts with a contrast ratio below 4.5 to their background.
const lowContrast = `(() => {
  const number = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = number(getComputedStyle(element).backgroundColor);
      if (color.length === 3 || color[3] === 1) { return color; }
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, noscript") || !element.checkVisibility()) { continue; }
    texts++;
    const [a, b] = [light(number(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) { found.add(element.className + " " + walker.currentNode.data.trim() + " " + ratio.toFixed(1)); }
  }
  return texts < 10 ? "only " + texts + " texts" : [...found].join("\n");
})()`

// LowContrast lists the texts that do not meet the contrast requirement of WCAG 2 level AA.
func (tab *Tab) LowContrast() string {
	tab.t.Helper()
	return strings.TrimSpace(tab.Text(lowContrast))
}

// Press presses a key a number of times.
func (tab *Tab) Press(key string, times int) {
	tab.t.Helper()
	for range times {
		tab.Do(chromedp.KeyEvent(key))
	}
}

// Shortcut presses a key that the page handles as a shortcut, without text input.
func (tab *Tab) Shortcut(key string) {
	tab.t.Helper()
	tab.Do(input.DispatchKeyEvent(input.KeyRawDown).WithKey(key), input.DispatchKeyEvent(input.KeyUp).WithKey(key))
}

// Focus returns the class, ID or tag of the focused element and its text.
func (tab *Tab) Focus() string {
	tab.t.Helper()
	return tab.Text(`(document.activeElement.className || document.activeElement.id || document.activeElement.tagName) + ": " + document.activeElement.innerText`)
}

// MapHost resolves a host name to this machine, as in a DNS rebinding attack.
func MapHost(name string) chromedp.ExecAllocatorOption {
	return chromedp.Flag("host-resolver-rules", fmt.Sprintf("MAP %s 127.0.0.1", name))
}
