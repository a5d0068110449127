package vfs

// An OpKind says what an operation does.
type OpKind int

// The operations that change something and are counted, then the others.
const (
	OpWrite    OpKind = iota + 1 // File.WriteAt
	OpSync                       // File.Sync
	OpTruncate                   // File.Truncate
	OpCreate                     // OpenFile that creates or truncates
	OpRename
	OpRemove
	OpMkdir // MkdirAll
	OpSyncDir

	OpOpen // Open, and OpenFile of what is there
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

// mutates tells whether the operation is one of those that Ops counts.
func (k OpKind) mutates() bool { return k <= OpSyncDir }

// An Op is an operation that is about to happen.
type Op struct {
	Kind OpKind
	Name string // as the caller gave it, cleaned
	To   string // the new name, of a rename
	N    int    // how many mutating operations came before
	Off  int64  // where a read or write starts; the new size, of a truncation
	Len  int    // how many bytes a read or write asks for
}

// A Fault is an error for Inject to return if the operation is to have an
// effect before it fails.
type Fault struct {
	// Done is how many bytes a write writes. For the other operations,
	// anything but 0 says that they are carried out.
	Done int
	Err  error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the error that the caller of the operation gets to see.
func (f *Fault) Unwrap() error { return f.Err }
