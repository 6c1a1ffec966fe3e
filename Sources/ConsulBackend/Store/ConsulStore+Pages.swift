public import IPAM

// Consul answers a listing in one piece or not at all. So the names are asked for first, which are
// small, and cut into runs that share a beginning nobody else has; each run is then a listing of its own:
//
//   names   …/addresses/0a010002  …0a010003  …  0a01ff01     100,000
//   pages   …/addresses/0a0100  …/addresses/0a0101  …         at most 4,096 names each
//
// Memory holds the names and three pages. What is there all the time is visited; what comes or goes
// meanwhile may be.

extension ConsulStore {
  /// Names in one page: a page of leases is 2 MB.
  package static let pageSize = 4_096
  /// Pages on their way while one is looked at: one that Consul reads, one that is decoded.
  private static let pagesAhead = 2

  /// Visits the entries of a kind in bounded memory: leases by address, IPv4 first; the chunks of one
  /// level of a pool in order.
  ///
  /// - Parameters:
  ///   - kind: What to list.
  ///   - deadline: When to give up.
  ///   - visit: Called with each entry and the number of its bytes.
  /// - Complexity: O(n) in the entries; one round trip, and one for each page.
  public func listInPages(
    _ kind: StoreListing, deadline: Deadline,
    _ visit: (StoreKey, StoreEntry, Int) throws(StoreError) -> Void
  ) async throws(StoreError) {
    let names = try await retrying(deadline) { () async throws(ConsulError) in
      try await self.client.keys(
        self.schema.prefix(of: kind), consistency: .consistent, deadline: self.instant(deadline))
    }
    let pages = Self.pages(of: names, size: Self.pageSize)
    var ahead = pages.prefix(Self.pagesAhead).map { fetch($0, deadline) }[...]
    for index in pages.indices {
      guard let current = ahead.popFirst() else { return }
      let entries: [PageEntry]
      do {
        entries = try await current.value.get()
      } catch {
        for task in ahead { task.cancel() }
        throw error
      }
      if index + Self.pagesAhead < pages.count {
        ahead.append(fetch(pages[index + Self.pagesAhead], deadline))
      }
      for entry in entries { try visit(entry.key, entry.entry, entry.bytes) }
    }
  }

  private typealias PageEntry = (key: StoreKey, entry: StoreEntry, bytes: Int)

  /// A page on its way, and decoded, while those before it are looked at.
  private func fetch(
    _ page: Page, _ deadline: Deadline
  ) -> Task<Result<[PageEntry], StoreError>, Never> {
    Task { @concurrent in
      do throws(StoreError) {
        let entries = try await self.retrying(deadline) { () async throws(ConsulError) in
          try await self.client.list(
            page.beginning, consistency: .consistent, deadline: self.instant(deadline))
        }
        return .success(
          entries.compactMap { entry in
            guard entry.key.utf8.count == page.length, let key = schema.key(entry.key) else {
              return nil
            }
            return (
              key, decode(entry.value, Revision(entry.modifyIndex), for: key), entry.value.count
            )
          })
      } catch {
        return .failure(error)
      }
    }
  }

  /// The names of one length with a common beginning.
  package struct Page: Hashable, Sendable {
    /// What they begin with.
    package let beginning: String
    /// Their bytes.
    package let length: Int
  }

  /// Pages that have each name once: short names first, those of one length in order.
  ///
  /// - Complexity: O(n log n) in the names.
  package static func pages(of names: [String], size: Int) -> [Page] {
    var pages: [Page] = []
    let lengths = Dictionary(grouping: names) { $0.utf8.count }
    var runs = lengths.sorted { $0.key > $1.key }.map { $0.value.sorted()[...] }
    while let run = runs.popLast() {
      guard let first = run.first?.utf8, let last = run.last?.utf8 else { continue }
      let common = zip(first, last).prefix { $0 == $1 }.count
      guard run.count > size, common < first.count else {
        let beginning = String(decoding: first.prefix(common), as: UTF8.self)
        pages.append(Page(beginning: beginning, length: first.count))
        continue
      }
      var parts: [ArraySlice<String>] = []
      var start = run.startIndex
      for index in run.indices.dropFirst() {
        let before = run[index - 1].utf8.dropFirst(common).first
        guard before != run[index].utf8.dropFirst(common).first else { continue }
        parts.append(run[start..<index])
        start = index
      }
      parts.append(run[start...])
      runs += parts.reversed()
    }
    return pages
  }
}
