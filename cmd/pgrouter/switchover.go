package main

import "github.com/spf13/cobra"

func switchoverCommand(s streams) *cobra.Command { return &cobra.Command{Use: "switchover"} }
