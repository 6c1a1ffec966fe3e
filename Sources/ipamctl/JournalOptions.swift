import ArgumentParser
import DiskBackend
import IPAM

// What an operator acquires and releases is history too. In Consul it goes into the commit as an ADD's
// does, into a journal of no node, for whoever sits where; on this machine's disk only if it is a node.

struct JournalOptions: ParsableArguments {
  @Option(help: "Where this node keeps what it remembers.")
  var stateDir = DiskStore.defaultStateDirectory

  /// Whose journal in Consul a command is noted in.
  static let node = ""

  /// Adds events to the journal on this node's disk.
  func write(_ events: [JournalEvent], _ network: String) {
    guard Terminal.exists(stateDir) else { return }
    if !Journal(stateDirectory: stateDir, network: network).append(events) {
      Terminal.say("the journal in \(stateDir) cannot be written: history will not show this there")
    }
  }

  func writeRelease(of held: Attachment, _ key: AttachmentKey, _ network: String) {
    let now = ConsulOptions.surroundings.now()
    write([JournalEvent(released: held, of: key, at: now)], network)
  }
}
