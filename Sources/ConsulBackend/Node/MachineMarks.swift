internal import AddressSpace
internal import IPAM

// What tells a machine from one that was made from a copy of its disk: the system's own identifier, made
// at its first boot (machine-id(5)), and the hardware's, which a copy of a virtual machine has anew and
// only root can read. Neither is anybody else's business, so only hashes of them are kept.

/// What is known of a machine's identity; nothing is known where a mark is missing.
struct MachineMarks: Hashable {
  var system: String?
  var hardware: String?

  /// This machine's.
  static var here: MachineMarks {
    MachineMarks(
      system: mark("/etc/machine-id"), hardware: mark("/sys/class/dmi/id/product_uuid"))
  }

  /// The mark by which this is surely another machine than the one that had those; nil if it may be the
  /// same.
  func difference(from others: MachineMarks) -> String? {
    for (own, other) in [(system, others.system), (hardware, others.hardware)] {
      if let own, let other, own != other { return own }
    }
    return nil
  }

  private static func mark(_ path: String) -> String? {
    let text = NodeFile.firstWord(of: path)
    // Before a system's first boot there is a word of another length, or none.
    let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
    return digits.count == 32 ? Offset(StableHash.of(digits[...])).hex(digits: 16) : nil
  }
}
