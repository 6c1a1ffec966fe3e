internal import AddressSpace
public import IPAM

// Who this node is. The first process that needs it makes the file; whoever loses that race reads the
// winner's. The name is kept because host names change; the instance because two hosts can have the
// same name, and garbage collection must not mistake one for the other.
//
//   <stateDir>/node      instance 4f0c…
//                        system 9b1e…             whose it is: MachineMarks
//                        host   worker-3          the name where the configuration gives none
//                        name   worker-3          names that were used are tried by DEL and CHECK
//                        name   worker-3.example  the last is the one used last
//
// A configured name is not another configuration's: two runtimes of a host keep apart by one of them.
//
// A machine may be made from a disk that has this file on it already. Then it is another node, with an
// instance of its own: else each would collect what the other's containers hold.

/// The node's name, its instance, and the names it had before.
public struct NodeIdentity: Hashable, Sendable {
  /// What goes into attachments.
  public let node: Node
  /// Names under which attachments may stand that were made earlier.
  public let earlierNames: [String]
  /// The state directory was a copy of another machine's until now.
  public let wasCopied: Bool

  /// The identity kept in a state directory, made there if need be.
  ///
  /// - Parameters:
  ///   - stateDirectory: Where this node keeps what it remembers.
  ///   - configuredName: The name that the configuration gives; nil for the one kept, or the host's.
  ///   - random: 64 random bits.
  /// - Throws: ``StoreError`` if the directory cannot be used, naming the path.
  public init(
    stateDirectory: String, configuredName: String?, random: () -> UInt64
  ) throws(StoreError) {
    let path = stateDirectory + "/node"
    do throws(NodeFile.Failure) {
      let kept = try Self.record(at: path, in: stateDirectory, configuredName, random)
      var record = kept.onThisMachine
      wasCopied = record.instance != kept.instance
      let host = record.host ?? record.names.last
      let name = configuredName ?? host ?? NodeFile.hostName
      if record.names.last != name || (configuredName == nil && record.host == nil) {
        if configuredName == nil { record.host = host }
        record.names.removeAll { $0 == name }
        record.names = Array(record.names.suffix(Self.rememberedNames - 1)) + [name]
        try NodeFile.replace(path, with: record.bytes)
      } else if record != kept {
        try? NodeFile.replace(path, with: record.bytes)  // the next one comes to the same
      }
      node = Node(name: name, instance: record.instance, bootID: NodeFile.bootID)
      earlierNames = record.names.dropLast().reversed()
    } catch {
      throw StoreError(
        .io, "the node's identity cannot be kept: \(error); set ipam.stateDir to a writable folder")
    }
  }

  /// The record that is kept, made if there is none.
  private static func record(
    at path: String, in stateDirectory: String, _ configuredName: String?, _ random: () -> UInt64
  ) throws(NodeFile.Failure) -> Record {
    if let kept = NodeFile.read(path).flatMap(Record.init) { return kept }
    try NodeFile.makeFolder(stateDirectory)
    let host = NodeFile.hostName
    let fresh = Record(
      instance: Offset(high: random(), low: random()).hex(digits: 32), marks: .here, host: host,
      names: [configuredName ?? host])
    if try NodeFile.createOnce(path, with: fresh.bytes) { return fresh }
    if let winner = NodeFile.read(path).flatMap(Record.init) { return winner }
    // What is there is not ours to understand: it is replaced, as a lost file would be.
    try NodeFile.replace(path, with: fresh.bytes)
    return fresh
  }

  /// The identity kept in a state directory; nil if there is none. Nothing is made or changed.
  public init?(keptIn stateDirectory: String) {
    guard let kept = NodeFile.read(stateDirectory + "/node").flatMap(Record.init) else {
      return nil
    }
    let record = kept.onThisMachine
    wasCopied = record.instance != kept.instance
    guard let name = record.names.last else { return nil }
    node = Node(name: name, instance: record.instance, bootID: NodeFile.bootID)
    earlierNames = record.names.dropLast().reversed()
  }

  /// The identity of a node that cannot keep one: its name, as configured or the host's.
  public init(unkept configuredName: String?) {
    node = Node(name: configuredName ?? NodeFile.hostName, bootID: NodeFile.bootID)
    earlierNames = []
    wasCopied = false
  }

  /// Names beyond this many are forgotten, the oldest first.
  static let rememberedNames = 8

  private struct Record: Equatable {
    var instance: String
    var marks: MachineMarks
    /// Earlier versions did not keep it apart.
    var host: String?
    var names: [String]

    init(instance: String, marks: MachineMarks, host: String?, names: [String]) {
      self.instance = instance
      self.marks = marks
      self.host = host
      self.names = names
    }

    init?(_ bytes: [UInt8]) {
      var instance = ""
      var marks = MachineMarks()
      var host: String?
      var names: [String] = []
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        if line.hasPrefix("instance ") { instance = String(line.dropFirst(9)) }
        if line.hasPrefix("system ") { marks.system = String(line.dropFirst(7)) }
        if line.hasPrefix("hardware ") { marks.hardware = String(line.dropFirst(9)) }
        if line.hasPrefix("host ") { host = String(line.dropFirst(5)) }
        if line.hasPrefix("name ") { names.append(String(line.dropFirst(5))) }
      }
      guard !instance.isEmpty, !names.isEmpty else { return nil }
      self.init(instance: instance, marks: marks, host: host, names: names)
    }

    /// What this machine goes by. From another machine's record all its processes make the same one, so
    /// that it does not matter which of them writes it, or whether one can.
    var onThisMachine: Record {
      let here = MachineMarks.here
      guard let mark = here.difference(from: marks) else {
        var record = self
        record.marks.system = marks.system ?? here.system
        record.marks.hardware = marks.hardware ?? here.hardware
        return record
      }
      let halves = ["high", "low"].map { StableHash.of("\(instance) \(mark) \($0)".utf8) }
      let host = NodeFile.hostName
      return Record(
        instance: Offset(high: halves[0], low: halves[1]).hex(digits: 32), marks: here, host: host,
        names: [host])
    }

    var bytes: [UInt8] {
      let lines =
        ["instance \(instance)"] + (marks.system.map { ["system \($0)"] } ?? [])
        + (marks.hardware.map { ["hardware \($0)"] } ?? []) + (host.map { ["host \($0)"] } ?? [])
        + names.map { "name \($0)" }
      return Array(lines.map { $0 + "\n" }.joined().utf8)
    }
  }
}
