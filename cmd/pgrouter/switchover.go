package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/config"
)

// switchoverLimit bounds a switchover seen from outside: the router's own limits are shorter.
const switchoverLimit = 10 * time.Minute

// answerLimit bounds what is read of the router's answer, in bytes.
const answerLimit = 64 << 10

// switchoverOrder is what is asked of the router.
type switchoverOrder struct {
	Cluster string `json:"cluster,omitempty"`
	To      string `json:"to"`
	Within  string `json:"within,omitempty"`
}

func switchoverCommand(s streams) *cobra.Command {
	var order switchoverOrder
	var path, admin string
	cmd := &cobra.Command{
		Use: "switchover --to NODE", Short: "Make a standby the primary without an error for anybody", Args: noArgs,
		Long: `switchover asks the running router to hold new work, wait for running transactions, demote the primary with
demote_command, promote NODE when it has replayed everything, and go on there. When it fails, everything is released.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if order.To == "" {
				return &usageError{errors.New("--to NODE is missing: host:port of a standby, as SHOW NODES prints it")}
			}
			if order.Within != "" {
				if _, err := time.ParseDuration(order.Within); err != nil {
					return &usageError{fmt.Errorf("--within: %w", err)}
				}
			}
			url, err := adminURL(path, admin, s)
			if err != nil {
				return err
			}
			return askSwitchover(cmd.Context(), url, order, s)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&admin, "admin", "", "host:port of the router's HTTP server; without it the configuration is asked")
	cmd.Flags().StringVar(&order.To, "to", "", "the standby that becomes the primary (host:port)")
	cmd.Flags().StringVar(&order.Cluster, "cluster", "", "the cluster, when there are several")
	cmd.Flags().StringVar(&order.Within, "within", "", "how long running transactions may take to end (as in 10s); without it drain_timeout")
	return cmd
}

// adminURL finds the running router.
func adminURL(path, admin string, s streams) (string, error) {
	if admin != "" {
		return "http://" + admin, nil
	}
	cfg, faults := config.Load(path, os.Environ())
	if config.Failed(faults) {
		for _, f := range faults {
			fmt.Fprintln(s.err, f)
		}
		return "", &toldError{&usageError{errFaulty}}
	}
	if cfg.Admin.HTTP == "" {
		return "", errors.New("the router has no HTTP server ([admin] http is empty): it takes orders there")
	}
	return "http://" + cfg.Admin.HTTP, nil
}

// askSwitchover sends the order and waits for its end.
func askSwitchover(ctx context.Context, url string, order switchoverOrder, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, switchoverLimit)
	defer cancel()
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/switchover", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	begun := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the router does not answer: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("switchover refused or failed: %s", errorText(answer))
	}
	_, err = fmt.Fprintf(s.out, "%s is the primary after %.1f s\n", order.To, time.Since(begun).Seconds())
	return err
}

// errorText takes the message out of the router's answer.
func errorText(answer []byte) string {
	var said struct {
		Error string `json:"error"`
		Hint  string `json:"hint"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || said.Error == "" {
		return string(bytes.TrimSpace(answer))
	}
	if said.Hint != "" {
		return said.Error + " (" + said.Hint + ")"
	}
	return said.Error
}
