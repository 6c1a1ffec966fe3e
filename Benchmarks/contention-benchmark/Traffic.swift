// How many bytes a simulated request takes. Chunks are encoded as they would be sent; what is around
// them, and leases and attachments, are as large as they were in the calibration's commits:
//
//   commit      request + each operation's frame + chunks in base64 + leases and attachments
//   its reply   reply + a line for each operation
//   read        request of a key ──▶ reply + the value in base64

import BitmapAllocator
import IPAM
import IPAMTesting

/// The sizes of requests and replies, in bytes, from a calibration.
struct Traffic: Sendable {
  /// A request without a body.
  let request: Double
  /// What an operation takes in a commit beside its value: verb, key, revision.
  let frame: Double
  /// A lease or an attachment in a commit, its frame included.
  let record: Double
  /// The reply to a commit, but for its operations.
  let reply: Double
  /// What each operation adds to that.
  let line: Double
  /// The reply to a read, but for the value.
  let found: Double

  init(_ measured: Calibration) {
    let (one, lease, largest) = (measured.writes[0], measured.writes[1], measured.writes.last!)
    let more = Double(largest.operations - lease.operations)
    request = measured.readBytes.sent
    frame = max(0, one.bytes.sent - request - measured.chunkBytes)
    record = max(0, (largest.bytes.sent - lease.bytes.sent) / more)
    line = max(0, (largest.bytes.received - lease.bytes.received) / more)
    reply = max(0, one.bytes.received - line)
    found = max(0, measured.readBytes.received - measured.chunkBytes)
  }

  /// A chunk as it is sent: in base64.
  static func encoded(_ chunk: Chunk, key: String = "") -> Int {
    (ChunkCodec.encode(chunk, key: key).count + 2) / 3 * 4
  }

  /// What a commit's operation adds to the request.
  func size(_ operation: StoreOperation) -> Double {
    switch operation {
    case .put(_, .chunk(let chunk), _): frame + Double(Self.encoded(chunk))
    case .put: record
    case .check, .delete, .note: frame
    }
  }

  /// What a value adds to the reply of a read.
  func size(_ value: StoreValue?) -> Double {
    switch value {
    case nil, .cursor: 0
    case .chunk(let chunk): Double(Self.encoded(chunk))
    default: max(0, record - frame)
    }
  }
}

/// Counts the bytes that a real store would have sent and received.
final class MeteredStore: SimulatedStore {
  private let base: any SimulatedStore
  private let traffic: Traffic
  private(set) var bytes = Calibration.Bytes(sent: 0, received: 0)

  init(_ base: any SimulatedStore, _ traffic: Traffic) {
    (self.base, self.traffic) = (base, traffic)
  }

  var traits: StoreTraits { base.traits }

  func found(_ keys: Set<StoreKey>) -> [StoreKey: StoreEntry] {
    let found = base.found(keys)
    for (key, entry) in found {
      // Where a search goes on is a node's own.
      if case .cursor = key { continue }
      bytes.sent += traffic.request
      bytes.received += traffic.found + traffic.size(entry.value)
    }
    return found
  }

  func outcome(of operations: [StoreOperation]) -> CommitOutcome {
    let outcome = base.outcome(of: operations)
    bytes.sent += operations.reduce(traffic.request) { $0 + traffic.size($1) }
    var lines = operations.count
    if case .conflict(let failed) = outcome { lines = failed.count }
    bytes.received += traffic.reply + traffic.line * Double(lines)
    return outcome
  }
}
