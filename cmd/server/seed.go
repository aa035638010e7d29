package main

type seedCommand struct{}

func (c *seedCommand) Run() error { return nil }
