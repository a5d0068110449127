// Package service has the use cases of a log: what its users do with it. A
// [Session] is the only way in: of the holder of a token ([Service.As]), or of the
// operator who has the log's files and keys ([Service.Local]). Commands, and
// servers that speak to the network, parse a request, call a method, and show its
// answer. They check no permission and record no read: the methods do.
//
// A method takes a context and one request, and returns values or an iterator. It
//
//   - refuses what the token does not permit, and records the denial;
//   - keeps to the scope of the token record by record, or refuses a token with a
//     scope where the answer is about the whole log;
//   - leaves out content about people who have asked for it to be restricted;
//   - records that content is read before the first record with content leaves.
//
// It does not protect from somebody who has the files of the log and its master
// key: the process of the caller may read them itself.
package service
