package api

import (
	"context"

	"florin/internal/approval"
	"florin/internal/identity"
)

// UserList is a page of users.
type UserList struct {
	Data       []UserProfile `json:"data" nullable:"false"`
	NextCursor string        `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// RoleRequest gives a user another role.
type RoleRequest struct {
	Role string `json:"role" enum:"customer,merchant,support,finance,operator,admin"`
}

var roleMembers = []member[RoleRequest]{
	{"role", true, func(d *decoder, r *RoleRequest) { d.readText(&r.Role) }},
}

func (RoleRequest) members() []member[RoleRequest] { return roleMembers }

// UserPath names a user.
type UserPath struct {
	UserID ID `path:"userId" doc:"The user's id." example:"user_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type listUsersInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	Email  string `query:"email" maxLength:"254" doc:"The whole address." example:"alice@example.com"`
	Role   string `query:"role" enum:"customer,merchant,support,finance,operator,admin" doc:"Of this role alone."`
	Status string `query:"status" enum:"ACTIVE,LOCKED,DELETED" doc:"Of this status alone."`
}

type setRoleInput struct {
	UserPath
	Payload jsonBody[RoleRequest]
}

type usersOutput struct{ Body UserList }

func (a *api) routeUsers() {
	route(a, listUsersEndpoint, a.listUsers)
	route(a, getUserEndpoint, a.getUser)
	route(a, lockUserEndpoint, a.lockUser)
	route(a, unlockUserEndpoint, a.unlockUser)
	route(a, endUserSessionsEndpoint, a.endUserSessions)
	route(a, setRoleEndpoint, a.setRole)
}

func (a *api) listUsers(ctx context.Context, in *listUsersInput) (*usersOutput, error) {
	after, err := idAfter(in.Cursor, "users")
	if err != nil {
		return nil, err
	}
	filter := identity.UserFilter{Email: in.Email, Role: identity.Role(in.Role), Status: identity.UserStatus(in.Status)}
	rows, err := a.users.ListUsers(ctx, filter, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := UserList{Data: make([]UserProfile, len(rows))}
	for i, row := range rows {
		list.Data[i] = userOf(row)
	}
	if more {
		list.NextCursor = newCursor("users", noSnapshot, rows[len(rows)-1].ID)
	}
	return &usersOutput{list}, nil
}

func (a *api) getUser(ctx context.Context, in *UserPath) (*userOutput, error) {
	user, err := a.users.Profile(ctx, string(in.UserID))
	if err != nil {
		return nil, err
	}
	return &userOutput{userOf(user)}, nil
}

func (a *api) lockUser(ctx context.Context, in *UserPath) (*userOutput, error) {
	return a.changeUser(ctx, in, a.users.Lock)
}

func (a *api) unlockUser(ctx context.Context, in *UserPath) (*userOutput, error) {
	return a.changeUser(ctx, in, a.users.Unlock)
}

func (a *api) endUserSessions(ctx context.Context, in *UserPath) (*userOutput, error) {
	return a.changeUser(ctx, in, a.users.RevokeSessions)
}

// changeUser does it to a user who may do no more than the caller himself, and
// answers what he is then: support does not lock out administrators.
func (a *api) changeUser(ctx context.Context, in *UserPath, change func(ctx context.Context, userID string) error) (*userOutput, error) {
	user, err := a.users.Profile(ctx, string(in.UserID))
	if err != nil {
		return nil, err
	}
	for _, permission := range user.Role.Permissions() {
		if !permission.IsOwn() && !principalOf(ctx).May(permission) {
			return nil, forbidden(permission)
		}
	}
	if err := change(ctx, user.ID); err != nil {
		return nil, err
	}
	return a.getUser(ctx, in)
}

func (a *api) setRole(ctx context.Context, in *setRoleInput) (*userOutput, error) {
	change := roleChange{UserID: string(in.UserID), Role: in.Payload.Value.Role}
	if !identity.Role(change.Role).IsKnown() {
		return nil, invalidField("role", "must be one of the roles")
	}
	if err := mayGiveRole(ctx, identity.Role(change.Role)); err != nil {
		return nil, err
	}
	user, err := a.users.Profile(ctx, change.UserID)
	if err != nil {
		return nil, err
	}
	if err := mayGiveRole(ctx, user.Role); err != nil {
		return nil, err
	}
	if err := a.secondPerson(ctx, approval.RoleChange, change.UserID, change); err != nil {
		return nil, err
	}
	if err := change.do(ctx, a); err != nil {
		return nil, err
	}
	return a.getUser(ctx, &in.UserPath)
}

// mayGiveRole refuses to give, or to take, a role that may do more than the caller,
// as his scopes have it: a key that is for changing roles alone makes no
// administrators, nor ends them.
func mayGiveRole(ctx context.Context, role identity.Role) error {
	for _, permission := range role.Permissions() {
		if !permission.IsOwn() && !principalOf(ctx).May(permission) {
			return forbidden(permission)
		}
	}
	return nil
}
