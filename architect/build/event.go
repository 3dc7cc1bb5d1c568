package build

// An EventType names what plugins, reporters and followers hear about.
type EventType string

// The eight events. They are emitted in order per build and at least once; a
// *_COMPLETE comes just before its *_SUCCESS or *_FAIL.
const (
	BuildStart    EventType = "BUILD_START"
	TaskStart     EventType = "TASK_START"
	TaskComplete  EventType = "TASK_COMPLETE"
	TaskSuccess   EventType = "TASK_SUCCESS"
	TaskFail      EventType = "TASK_FAIL"
	BuildComplete EventType = "BUILD_COMPLETE"
	BuildSuccess  EventType = "BUILD_SUCCESS"
	BuildFail     EventType = "BUILD_FAIL"
)

// An Event is one of the eight, with the move that caused it: a follower that
// remembers Seq can ask for those it has missed.
type Event struct {
	Type  EventType
	Build ID
	Task  string // key; "" for events of the build
	Seq   int
}

// phase is what the build's own events depend on.
type phase struct{ started, final bool }

func (b *Build) phase() phase {
	return phase{started: !b.Started.IsZero(), final: b.State().Final()}
}

// events lists what the move m emits; before is the phase it found.
func (b *Build) events(m Move, before phase) []Event {
	var out []Event
	emit := func(task string, types ...EventType) {
		for _, t := range types {
			out = append(out, Event{Type: t, Build: b.ID, Task: task, Seq: m.Seq})
		}
	}
	now := b.phase()
	if now.started && !before.started {
		emit("", BuildStart)
	}
	if m.From != m.To {
		switch m.To {
		case Building:
			emit(m.Task, TaskStart)
		case Succeeded:
			if m.From == Scheduled { // the message that it began was lost
				emit(m.Task, TaskStart)
			}
			emit(m.Task, TaskComplete, TaskSuccess)
		case Failed:
			emit(m.Task, TaskComplete, TaskFail)
		}
	}
	if now.final && !before.final {
		if b.State() == Succeeded {
			emit("", BuildComplete, BuildSuccess)
		} else {
			emit("", BuildComplete, BuildFail)
		}
	}
	return out
}
