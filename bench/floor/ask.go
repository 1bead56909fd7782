package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

// ask asks for each address of a list whether it still has the entity tag beside
// it, over so many connections.
func ask(list, connections string) error {
	n, err := strconv.Atoi(connections)
	if err != nil || n < 1 {
		return fmt.Errorf("connections %q: want a number", connections)
	}
	f, err := os.Open(list)
	if err != nil {
		return err
	}
	defer f.Close()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: n, MaxIdleConnsPerHost: n, DisableCompression: true}}
	lines := make(chan string)
	faults := make(chan error, n)
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for line := range lines {
				if err := askOne(client, line); err != nil {
					select {
					case faults <- err:
					default: // one is enough
					}
				}
			}
		})
	}
	in := bufio.NewScanner(f)
	for in.Scan() {
		lines <- in.Text()
	}
	close(lines)
	workers.Wait()
	close(faults)
	if err := <-faults; err != nil {
		return err
	}
	return in.Err()
}

func askOne(client *http.Client, line string) error {
	address, tag, _ := strings.Cut(line, " ")
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("If-None-Match", tag)
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotModified {
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	return nil
}
