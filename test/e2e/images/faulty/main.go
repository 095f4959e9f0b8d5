// Command faulty is the program of the actions that only tests have: each misbehaves in one way, on purpose.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const outputs = "/wfe/outputs"

func main() {
	if len(os.Args) < 2 {
		fail(2, "which fault?")
	}
	switch os.Args[1] {
	case "ok":
		fmt.Printf("told %q\n", os.Getenv("SAY"))
		say("did", os.Getenv("SAY"))
	case "fail":
		code, err := strconv.Atoi(os.Getenv("EXIT_CODE"))
		if err != nil {
			fail(2, "EXIT_CODE: %v", err)
		}
		if said := os.Getenv("TERMINATION"); said != "" {
			if err := os.WriteFile("/dev/termination-log", []byte(said), 0o600); err != nil {
				fail(2, "%v", err)
			}
		}
		fail(code, "failing as asked")
	case "flaky":
		flaky(os.Getenv("RETRIES"), os.Getenv("FAILURES"))
	case "sleep":
		sleep(os.Getenv("SECONDS"))
	case "monitoring":
		serveMonitoring()
	case "oom":
		devour()
	default:
		fail(2, "unknown fault %q", os.Args[1])
	}
}

// flaky fails while it was repeated less often than asked.
func flaky(retries, failures string) {
	done, err := strconv.Atoi(retries)
	if err != nil {
		fail(2, "RETRIES: %v", err)
	}
	wanted, err := strconv.Atoi(failures)
	if err != nil {
		fail(2, "FAILURES: %v", err)
	}
	if done < wanted {
		fail(1, "attempt %d of %d fails", done, wanted)
	}
	say("did", fmt.Sprintf("after-%d", done))
}

func sleep(seconds string) {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		fail(2, "SECONDS: %v", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("sleeping")
	select {
	case <-time.After(time.Duration(n) * time.Second):
		say("did", "slept")
	case <-stop:
		fail(143, "told to stop")
	}
}

// devour touches memory until the kernel ends it.
func devour() {
	var held [][]byte
	for {
		block := make([]byte, 8<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		fmt.Println("holding", len(held)*8, "MiB")
	}
}

func say(name, value string) {
	if err := os.WriteFile(filepath.Join(outputs, name), []byte(value), 0o600); err != nil {
		fail(2, "%v", err)
	}
	fmt.Println(name, "=", value)
}

func fail(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(code)
}
