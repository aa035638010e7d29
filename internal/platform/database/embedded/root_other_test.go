//go:build !linux

package embedded

const hasDeathSignal = false
