// Package browser opens pages in Chromium without a screen, for tests.
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

// ScreenshotsVariable names a folder for the screenshots; without it there are none.
const ScreenshotsVariable = "SCREENSHOTS"

// patience bounds what a page does by itself.
const patience = 30 * time.Second

// Tab is a tab of a browser of its own.
type Tab struct {
	ctx context.Context
	t   *testing.T

	lock       sync.Mutex
	complaints []string
}

// Open opens a tab. It is an error of the test if the page complains: of a script, or of what the policy forbids.
func Open(t *testing.T, flags ...chromedp.ExecAllocatorOption) *Tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v; make test-page installs it", err)
	}
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(program), chromedp.WindowSize(1280, 900), chromedp.Flag("force-device-scale-factor", "1"),
		// Chromium refuses its sandbox to root, and a container may refuse it to everybody; the pages are our own.
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
			tab.complain(event.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if event.Entry.Level == log.LevelError {
				tab.complain(event.Entry.Text)
			}
		}
	})
	if err := chromedp.Run(tab.ctx); err != nil { // starts it, and its life is that of the test
		t.Fatalf("start Chromium: %v", err)
	}
	return tab
}

func (tab *Tab) complain(text string) {
	tab.lock.Lock()
	defer tab.lock.Unlock()
	tab.complaints = append(tab.complaints, text)
}

// Complaints are what the page has complained of since it was asked last.
func (tab *Tab) Complaints() []string {
	tab.lock.Lock()
	defer tab.lock.Unlock()
	told := tab.complaints
	tab.complaints = nil
	return told
}

// Do does things, in order.
func (tab *Tab) Do(actions ...chromedp.Action) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
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

// Text is what an expression of JavaScript says.
func (tab *Tab) Text(expression string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	var text string
	if err := chromedp.Run(ctx, chromedp.Evaluate("String("+expression+")", &text)); err != nil {
		tab.t.Errorf("%s: %v", expression, err)
	}
	return text
}

// Await waits until an expression is true. While a page is loaded there is none, which is no error.
func (tab *Tab) Await(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
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

// For lets the tab report to another part of the test.
func (tab *Tab) For(t *testing.T) *Tab {
	tab.t = t
	return tab
}

// Dark lets the page be dark or light.
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

// Screenshot writes a picture of the whole page, where somebody wants one.
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

// contrasts lists the texts that are hard to read: those whose colour is too near to what is behind them.
const contrasts = `(() => {
  const number = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = number(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) { return colour; }
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

// HardToRead lists the texts whose contrast is below what WCAG 2 asks for, AA.
func (tab *Tab) HardToRead() string {
	tab.t.Helper()
	return strings.TrimSpace(tab.Text(contrasts))
}

// Press presses a key some times.
func (tab *Tab) Press(key string, times int) {
	tab.t.Helper()
	for range times {
		tab.Do(chromedp.KeyEvent(key))
	}
}

// Shortcut presses a key that writes nothing, as one does that the page takes for itself.
func (tab *Tab) Shortcut(key string) {
	tab.t.Helper()
	tab.Do(input.DispatchKeyEvent(input.KeyRawDown).WithKey(key), input.DispatchKeyEvent(input.KeyUp).WithKey(key))
}

// Focus says what has the focus.
func (tab *Tab) Focus() string {
	tab.t.Helper()
	return tab.Text(`(document.activeElement.className || document.activeElement.id || document.activeElement.tagName) + ": " + document.activeElement.innerText`)
}

// MapHost lets a host's name lead to this machine, as the owner of the name can.
func MapHost(name string) chromedp.ExecAllocatorOption {
	return chromedp.Flag("host-resolver-rules", fmt.Sprintf("MAP %s 127.0.0.1", name))
}
