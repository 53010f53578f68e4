package main

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

// The styles use the terminal's own sixteen colours, so that they follow its
// theme.
func bold() lipgloss.Style   { return lipgloss.NewStyle().Bold(true) }
func faint() lipgloss.Style  { return lipgloss.NewStyle().Faint(true) }
func accent() lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Cyan) }
func alarm() lipgloss.Style  { return lipgloss.NewStyle().Foreground(lipgloss.Red) }

const (
	wideEnough = 64 // columns from which the list is shown beside the chat
	listCols   = 22
)

func (s *screen) listWidth() int {
	if s.width < wideEnough {
		return 0
	}
	return listCols + 1
}

// bodyHeight is the room for messages: without header, typing line, input and
// footer.
func (s *screen) bodyHeight() int { return max(s.height-4, 1) }

// View draws everything.
func (s *screen) View() tea.View {
	v := tea.NewView("")
	v.AltScreen, v.MouseMode, v.WindowTitle = true, tea.MouseModeCellMotion, "godwit · "+string(s.book.me)
	if s.width == 0 {
		return v
	}
	body := s.chatPane()
	if lw := s.listWidth(); lw > 0 {
		body = lipgloss.JoinHorizontal(lipgloss.Top, s.listPane(lw), body)
	}
	v.SetContent(s.header() + "\n" + body + "\n" + s.footer())
	if c := s.input.Cursor(); c != nil {
		c.X += s.listWidth()
		c.Y = s.height - 2
		v.Cursor = c
	}
	return v
}

// header shows who one is and whether the connection lives.
func (s *screen) header() string {
	state := accent().Render("● live")
	switch s.state.State {
	case client.StateConnecting, client.StateSyncing:
		state = faint().Render("◌ " + s.state.State.String())
	case client.StateWaiting:
		wait := max(time.Until(s.state.RetryAt), 0).Round(time.Second)
		state = alarm().Render(fmt.Sprintf("○ offline, next try in %s", wait))
	case client.StateClosed:
		state = alarm().Render("○ closed")
	}
	left := bold().Render(" godwit · " + plainText(string(s.book.me)))
	gap := max(s.width-lipgloss.Width(left)-lipgloss.Width(state)-1, 1)
	return ansi.Truncate(left+strings.Repeat(" ", gap)+state, s.width, "")
}

func (s *screen) footer() string {
	if s.notice != "" {
		return alarm().Render(ansi.Truncate(" "+s.notice, s.width, "…"))
	}
	return faint().Render(ansi.Truncate(" enter send · tab next chat · pgup/pgdn scroll · /with USER · esc quit", s.width, "…"))
}

// listPane draws the conversation list.
func (s *screen) listPane(width int) string {
	height := s.bodyHeight() + 2
	rows := make([]string, 0, height)
	for _, r := range s.book.list() {
		if len(rows) == height {
			break
		}
		badge := ""
		if r.unread > 0 {
			badge = fmt.Sprintf(" %d", r.unread)
		}
		name := ansi.Truncate(r.title, width-3-len(badge), "…")
		row := " " + name + strings.Repeat(" ", max(width-2-lipgloss.Width(name)-len(badge), 0)) + accent().Render(badge)
		if r.id == s.book.open {
			row = lipgloss.NewStyle().Reverse(true).Render(ansi.Strip(row))
		}
		rows = append(rows, row+faint().Render("│"))
	}
	for len(rows) < height {
		rows = append(rows, strings.Repeat(" ", width-1)+faint().Render("│"))
	}
	return strings.Join(rows, "\n")
}

// chatPane draws the open conversation, who types, and the input.
func (s *screen) chatPane() string {
	r := s.book.rooms[s.book.open]
	height := s.bodyHeight()
	var rows []string
	typing := ""
	if r != nil {
		rows = s.drawLines(r)
		if names := r.whoTypes(s.now); len(names) > 0 {
			typing = ansi.Truncate(" "+strings.Join(names, ", ")+" typing …", max(s.width-s.listWidth(), 1), "…")
			typing = faint().Render(typing)
		}
	} else {
		rows = []string{"", faint().Render("  Nothing is open. Type /with USER.")}
	}
	end := max(len(rows)-s.scroll, 0)
	rows = rows[max(end-height, 0):end]
	for len(rows) < height {
		rows = append([]string{""}, rows...)
	}
	return strings.Join(append(rows, typing, s.input.View()), "\n")
}

// drawLines draws all lines of a room.
func (s *screen) drawLines(r *room) (rows []string) {
	width := max(s.width-s.listWidth()-1, 10)
	if r.loaded && r.older == 0 && len(r.lines) == 0 {
		return []string{faint().Render("  No message yet. Say hello.")}
	}
	day := ""
	for i := range r.lines {
		l := &r.lines[i]
		if d := l.at.Format("Monday, 2 January"); d != day {
			day = d
			rows = append(rows, faint().Render(" — "+d+" —"))
		}
		rows = append(rows, s.drawLine(r, l, width)...)
	}
	return rows
}

// drawLine draws one message, wrapped under its text.
func (s *screen) drawLine(r *room, l *line, width int) []string {
	who, tick := accent().Render(plainText(string(l.from))), ""
	if l.from == s.book.me {
		who, tick = bold().Render("you"), " "+drawTick(r.tick(l))
	}
	head := faint().Render(l.at.Format(" 15:04 ")) + who + ": "
	indent := min(lipgloss.Width(head), width/2)
	wrapped := strings.Split(ansi.Wrap(l.text, max(width-indent-4, 8), " "), "\n")
	wrapped[len(wrapped)-1] += tick
	rows := []string{head + wrapped[0]}
	for _, w := range wrapped[1:] {
		rows = append(rows, strings.Repeat(" ", indent)+w)
	}
	return rows
}

// drawTick draws how far a message has come.
func drawTick(st wire.Status) string {
	switch st {
	case wire.StatusStored:
		return faint().Render("✓")
	case wire.StatusDelivered:
		return faint().Render("✓✓")
	case wire.StatusRead:
		return accent().Bold(true).Render("✓✓")
	case wire.StatusFailed:
		return alarm().Render("✗ not sent")
	}
	return faint().Render("·")
}
