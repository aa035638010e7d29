package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"florin/internal/identity"
)

type userCommand struct {
	Create            userCreateCommand      `cmd:"" help:"Make a user whose address counts as verified."`
	List              userListCommand        `cmd:"" help:"List users."`
	Role              userRoleCommand        `cmd:"" help:"Give a user another role; his sessions end."`
	Lock              userLockCommand        `cmd:"" help:"Keep a user out; his sessions end."`
	Unlock            userUnlockCommand      `cmd:"" help:"Let a user in again, also one who waits after failed sign-ins."`
	ResetSecondFactor userResetFactorCommand `cmd:"" name:"reset-second-factor" help:"Take the second factor from a user who has lost it; his sessions end."`
}

// theUser is one user, as a person names him.
type theUser struct {
	User string `arg:"" help:"Email address or id."`
}

func (u theUser) find(ctx context.Context, t tools) (identity.User, error) {
	if !strings.Contains(u.User, "@") {
		return t.users.Profile(ctx, u.User)
	}
	found, err := t.users.ListUsers(ctx, identity.UserFilter{Email: u.User}, "", 1)
	if err != nil {
		return identity.User{}, err
	}
	if len(found) == 0 {
		return identity.User{}, identity.ErrUserNotFound
	}
	return found[0], nil
}

// change finds the user, changes him, and says what he is now.
func (u theUser) change(ctx context.Context, f *peopleFlags, change func(context.Context, tools, identity.User) error) error {
	return f.with(ctx, func(ctx context.Context, t tools) error {
		found, err := u.find(ctx, t)
		if err != nil {
			return err
		}
		if err := change(ctx, t, found); err != nil {
			return err
		}
		now, err := t.users.Profile(ctx, found.ID)
		if err != nil {
			return err
		}
		return printUsers(os.Stdout, []identity.User{now})
	})
}

type userCreateCommand struct {
	peopleFlags
	Email         string `arg:"" help:"Address to sign in with."`
	Name          string `required:"" help:"Name of the person."`
	Role          string `required:"" help:"Role: customer, merchant, support, finance, operator or admin."`
	PasswordStdin bool   `help:"Read the password from the first line of standard input instead of asking for it."`
}

// Run makes the user. A second call is refused.
func (c *userCreateCommand) Run(ctx context.Context) error {
	password, err := c.password()
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, t tools) error {
		made, err := t.users.Create(ctx, identity.NewUser{Email: c.Email, Name: c.Name, Role: identity.Role(c.Role), Password: password})
		if err != nil {
			return err
		}
		return printUsers(os.Stdout, []identity.User{made})
	})
}

func (c *userCreateCommand) password() (string, error) {
	if c.PasswordStdin {
		return readPassword(os.Stdin)
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return "", errors.New("there is no terminal to ask for the password: use --password-stdin")
	}
	return askPassword(func(prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		defer fmt.Fprintln(os.Stderr)
		typed, err := term.ReadPassword(terminal)
		return string(typed), err
	})
}

// askPassword asks twice: nobody sees what he types.
func askPassword(ask func(prompt string) (string, error)) (string, error) {
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

// readPassword reads the first line, without its end.
func readPassword(input io.Reader) (string, error) {
	const lineMax = 4096
	line, err := bufio.NewReader(io.LimitReader(input, lineMax)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("there is no password on standard input")
	}
	return line, nil
}

type userListCommand struct {
	peopleFlags
	Role   string `help:"Only those with this role."`
	Status string `help:"Only those who are ACTIVE, LOCKED or DELETED."`
	JSON   bool   `help:"Print one JSON object a line."`
}

// usersPage is how many users are read at once.
const usersPage = 500

// Run prints them in the order of their ids.
func (c *userListCommand) Run(ctx context.Context) error {
	return c.with(ctx, func(ctx context.Context, t tools) error {
		print := printUsers
		if c.JSON {
			print = printUsersJSON
		}
		filter := identity.UserFilter{Role: identity.Role(c.Role), Status: identity.UserStatus(strings.ToUpper(c.Status))}
		for after := ""; ; {
			page, err := t.users.ListUsers(ctx, filter, after, usersPage)
			if err != nil {
				return err
			}
			if err := print(os.Stdout, page); err != nil || len(page) < usersPage {
				return err
			}
			after = page[len(page)-1].ID
		}
	})
}

type userRoleCommand struct {
	peopleFlags
	theUser
	Role string `arg:"" help:"The new role: customer, merchant, support, finance, operator or admin."`
}

// Run changes the role; the same one again changes nothing.
func (c *userRoleCommand) Run(ctx context.Context) error {
	return c.change(ctx, &c.peopleFlags, func(ctx context.Context, t tools, u identity.User) error {
		return t.users.SetRole(ctx, u.ID, identity.Role(c.Role))
	})
}

type userLockCommand struct {
	peopleFlags
	theUser
}

// Run locks; a second call changes nothing.
func (c *userLockCommand) Run(ctx context.Context) error {
	return c.change(ctx, &c.peopleFlags, func(ctx context.Context, t tools, u identity.User) error {
		return t.users.Lock(ctx, u.ID)
	})
}

type userUnlockCommand struct {
	peopleFlags
	theUser
}

// Run unlocks; a second call changes nothing.
func (c *userUnlockCommand) Run(ctx context.Context) error {
	return c.change(ctx, &c.peopleFlags, func(ctx context.Context, t tools, u identity.User) error {
		return t.users.Unlock(ctx, u.ID)
	})
}

type userResetFactorCommand struct {
	peopleFlags
	theUser
}

// Run resets; a second call is refused.
func (c *userResetFactorCommand) Run(ctx context.Context) error {
	return c.change(ctx, &c.peopleFlags, func(ctx context.Context, t tools, u identity.User) error {
		return t.users.ResetSecondFactor(ctx, u.ID)
	})
}

func printUsers(out io.Writer, users []identity.User) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, u := range users {
		factor := "password only"
		if u.HasSecondFactor {
			factor = "second factor"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", u.ID, u.Email, u.Role, u.Status, factor, u.CreatedAt.UTC().Format(time.RFC3339))
	}
	return table.Flush()
}

func printUsersJSON(out io.Writer, users []identity.User) error {
	encoder := json.NewEncoder(out)
	for _, u := range users {
		err := encoder.Encode(struct {
			ID              string              `json:"id"`
			Email           string              `json:"email"`
			IsVerified      bool                `json:"isVerified"`
			Name            string              `json:"name"`
			Role            identity.Role       `json:"role"`
			Status          identity.UserStatus `json:"status"`
			HasSecondFactor bool                `json:"hasSecondFactor"`
			CreatedAt       time.Time           `json:"createdAt"`
		}{u.ID, u.Email, u.EmailVerifiedAt != nil, u.Name, u.Role, u.Status, u.HasSecondFactor, u.CreatedAt.UTC()})
		if err != nil {
			return err
		}
	}
	return nil
}
