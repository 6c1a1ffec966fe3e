public import IPAM

extension DiskStore {
  /// What an examination found and did.
  public struct Examined: Hashable, Sendable {
    /// What was mended, in order.
    public var mended: [DirectoryFinding] = []
    /// What is wrong, or still is.
    public var left: [DirectoryFinding] = []
    /// What is there beside and harms nobody.
    public var remarks: [DirectoryFinding] = []

    mutating func take(_ found: [DirectoryFinding]) {
      remarks = found.filter { $0.kind == .otherFile }
      left = found.filter { $0.kind != .otherFile }
    }
  }

  /// Looks, under the lock that host-local takes too, at every file of the directory, at the index
  /// and at the journal; with `repairing`, mends what no living container can depend on.
  ///
  /// The store's definition tells the ranges; without one nothing is judged by them. A repair can be
  /// killed anywhere and run again.
  ///
  /// - Parameters:
  ///   - journal: The node's journal of this network.
  ///   - repairing: Whether to mend; else nothing at all is changed.
  ///   - deadline: When to give up waiting for the lock.
  /// - Returns: Nil if there is no such directory.
  /// - Throws: ``StoreError`` if the lock is not to be had or the directory cannot be read or written.
  /// - Complexity: O(n) names and file contents, twice with `repairing`; others wait for the time.
  public func examine(
    journal: Journal, repairing: Bool, deadline: Deadline
  ) async throws(StoreError) -> Examined? {
    guard let directory = try await open(deadline, creating: false, recovering: false) else {
      return nil
    }
    do throws(SystemError) {
      var examined = Examined()
      examined.take(try look(directory, journal))
      guard repairing, examined.left.contains(where: \.isMendable) else { return examined }
      for finding in examined.left {
        guard let mending = finding.mending else { continue }
        try mending.perform(in: directory)
        examined.mended.append(finding)
      }
      examined.take(try look(directory, journal))
      return examined
    } catch {
      throw error.asStoreError
    }
  }

  private func look(
    _ directory: NetworkDirectory, _ journal: Journal
  ) throws(SystemError) -> [DirectoryFinding] {
    try Examination(directory, configuration).findings + journal.findings()
  }
}
