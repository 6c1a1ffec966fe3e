import DiskBackend
import Glibc
import IPAM
import IPAMTesting

// Acquires and releases addresses and is killed once so many things have happened in the directory
// (names that came or went, writes to the lock file): at any point of a commit, that is. It says before
// and after each step what it is about to do and what it has done.
//
//   disk-crash-helper <dataDir> <stateDir> <name> <events> [subnet…]

/// At once, so that the last word is out before the end comes.
func say(_ text: String) {
  let line = text + "\n"
  _ = write(1, line, line.utf8.count)
}

/// Kills the process after so many events in a directory.
nonisolated func watch(_ directory: String) {
  let descriptor = inotify_init1(0)
  let events = IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_TO | IN_ATTRIB
  guard inotify_add_watch(descriptor, directory, UInt32(events)) >= 0 else {
    return say("cannot watch \(directory)")
  }
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { descriptor in
      countDown(Int32(Int(bitPattern: descriptor)))
      return nil
    }, UnsafeMutableRawPointer(bitPattern: Int(descriptor)))
}

nonisolated func countDown(_ descriptor: Int32) {
  var left = Int(CommandLine.arguments[4]) ?? 0
  let header = MemoryLayout<inotify_event>.size
  var buffer = [UInt8](repeating: 0, count: 4_096)
  while left > 0 {
    let count = read(descriptor, &buffer, buffer.count)
    var position = 0
    while position < count {
      let length = buffer.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: position + 12, as: UInt32.self)
      }
      position += header + Int(length)
      left -= 1
    }
  }
  kill(getpid(), SIGKILL)
}

let words = CommandLine.arguments
let sets = try RangeSet.sets(words.dropFirst(5).map { [SubnetRange.Text(subnet: $0)] })
let definition = NetworkDefinition(name: "net", rangeSets: sets, searchOrder: .sequential)
let surroundings = Surroundings.system
mkdir(words[1], 0o755)
mkdir("\(words[1])/net", 0o755)
watch("\(words[1])/net")
var round = 0
while true {
  // A new store each time, as each execution of a plugin has one.
  let allocator = NetworkAllocator(
    store: DiskStore(
      directory: words[1], network: "net", definition: definition, stateDirectory: words[2]),
    networkName: "net", definition: definition, node: Node(name: ""), repeatPolicy: .refuse,
    surroundings: surroundings)
  let deadline = surroundings.deadline(inMilliseconds: 60_000)
  let container = "\(words[3])-\(round)"
  let key = AttachmentKey(node: "", container: container, interface: "eth0")
  say("acquiring \(container)")
  let acquired = try await allocator.acquire(AcquireRequest(attachment: key), deadline: deadline)
  say("acquired \(container) \(acquired.attachment.holdings.count)")
  // Every third stays.
  if round % 3 != 0 {
    say("releasing \(container)")
    let released = try await allocator.release([key], deadline: deadline)
    say("released \(container) \(released?.holdings.count ?? 0)")
  }
  round += 1
}
