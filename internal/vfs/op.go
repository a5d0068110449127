package vfs

// An OpKind is a kind of operation.
type OpKind int

// First the mutating operations, which are counted, then the others.
const (
	OpWrite    OpKind = iota + 1 // File.WriteAt
	OpSync                       // File.Sync
	OpTruncate                   // File.Truncate
	OpCreate                     // OpenFile that creates or truncates
	OpRename
	OpRemove
	OpMkdir // MkdirAll
	OpSyncDir

	OpOpen // Open, and OpenFile of an existing file
	OpRead // File.ReadAt
	OpSize // File.Size
	OpReadDir
	OpStat
	OpLock
	OpLocked
	OpFree
)

var opNames = [...]string{
	OpWrite: "write", OpSync: "sync", OpTruncate: "truncate", OpCreate: "create",
	OpRename: "rename", OpRemove: "remove", OpMkdir: "mkdir", OpSyncDir: "sync directory",
	OpOpen: "open", OpRead: "read", OpSize: "size", OpReadDir: "read directory",
	OpStat: "stat", OpLock: "lock", OpLocked: "probe lock", OpFree: "free space",
}

func (k OpKind) String() string { return opNames[k] }

// mutates reports whether the operation is one of those that Ops counts.
func (k OpKind) mutates() bool { return k <= OpSyncDir }

// An Op describes an operation before it happens.
type Op struct {
	Kind OpKind
	Name string // as the caller gave it, cleaned
	To   string // the new name, of a rename
	N    int    // number of mutating operations before it
	Off  int64  // where a read or write starts; the new size, of a truncation
	Len  int    // how many bytes a read or write asks for
}

// A Fault is an error that Inject's f returns if the operation should have an
// effect before it fails.
type Fault struct {
	// Done is the number of bytes that a write writes. Other operations are
	// carried out if it is not 0.
	Done int
	Err  error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the error that the operation returns.
func (f *Fault) Unwrap() error { return f.Err }
