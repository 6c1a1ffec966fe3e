// Keys and transactions on a real Consul. All tests share one server and stay below prefixes of
// their own, unless they count what the server does or do it harm.

import TestSupport
import Testing

@testable import ConsulBackend

@Suite(.needsConsul) struct RealConsulTests {
  @Test func keysComeAndGo() async throws {
    let (client, prefix) = try await Shared.client()
    let key = prefix + "a"
    #expect(try await client.get(key) == nil)
    let every = (0...255).map { UInt8($0) }
    let created = try #require(
      await client.transaction([.cas(key: key, value: every, index: 0)]).results?[key])
    #expect(created.createIndex == created.modifyIndex && created.value.isEmpty)
    let read = try #require(try await client.get(key, consistency: .consistent))
    #expect(read.value == every && read.modifyIndex == created.modifyIndex)
    #expect(try await client.get(key, consistency: .stale) == read)
    let changed = try #require(
      await client.transaction([.cas(key: key, value: [], index: read.modifyIndex)]).results?[key])
    #expect(changed.modifyIndex > read.modifyIndex && changed.createIndex == read.createIndex)
    #expect(try await client.get(key)?.value == [], "Consul says null for an empty value")
    let gone = await client.transaction([.deleteCAS(key: key, index: changed.modifyIndex)])
    #expect(gone.results == [:])
    #expect(try await client.get(key) == nil)
    #expect(await client.transaction([.delete(key: key)]).results == [:])
  }

  @Test(arguments: [
    "plain", "with space", "a/b/c", "per%cent%2F", "question?mark&x=y", "plus+", "equals=2E",
    "quote\"back\\slash", "ünï😀", "semi;colon", "#hash", "~.-_", "key \"x\" exists", "trailing/",
  ])
  func anyKey(_ name: String) async throws {
    let (client, prefix) = try await Shared.client()
    let key = prefix + name
    #expect(await client.transaction([.set(key: key, value: [1])]).results?[key] != nil)
    #expect(try await client.get(key)?.value == [1])
    #expect(try await client.keys(prefix) == [key])
    #expect(await client.transaction([.get(key: key)]).results?[key]?.value == [1])
    let lost = await client.transaction([.cas(key: key, value: [2], index: 0)])
    #expect(lost.failed == [FailedOperation(operation: 0, reason: .staleIndex(current: nil))])
    let exists = await client.transaction([.checkNotExists(key: key)])
    #expect(exists.failed == [FailedOperation(operation: 0, reason: .exists)])
  }

  @Test func everyLostRaceIsTold() async throws {
    let (client, prefix) = try await Shared.client()
    let (key, none) = (prefix + "a", prefix + "none")
    let made = await client.transaction([.set(key: key, value: [1])])
    let index = try #require(made.results?[key]?.modifyIndex)
    let outcome = await client.transaction([
      .cas(key: key, value: [2], index: 0),
      .checkIndex(key: key, index: index),
      .checkIndex(key: key, index: index + 1000),
      .checkIndex(key: none, index: 5),
      .checkNotExists(key: key),
      .checkNotExists(key: none),
      .deleteCAS(key: key, index: index + 1000),
      .get(key: none),
      .cas(key: none, value: [1], index: 9),
    ])
    let expected: [Int: FailedOperation.Reason] = [
      0: .staleIndex(current: nil), 2: .staleIndex(current: index), 3: .missing, 4: .exists,
      6: .staleIndex(current: nil), 7: .missing, 8: .staleIndex(current: nil),
    ]
    #expect(
      outcome.failed
        == expected.sorted { $0.key < $1.key }.map { .init(operation: $0.key, reason: $0.value) })
    #expect(try await client.get(key)?.modifyIndex == index, "nothing applied")
    #expect(client.counters.commits == 1)
  }

  @Test func aMixedTransactionIsAllOrNothing() async throws {
    let (client, prefix) = try await Shared.client()
    let keys = (0..<20).map { "\(prefix)\($0)" }
    let made = await client.transaction(keys.map { .cas(key: $0, value: [1], index: 0) })
    let results = try #require(made.results)
    #expect(results.keys.sorted() == keys.sorted())
    #expect(Set(results.values.map(\.modifyIndex)).count == 1, "one commit, one index")
    let index = results[keys[0]]?.modifyIndex ?? 0
    let mixed = await client.transaction([
      .checkIndex(key: keys[0], index: index), .checkNotExists(key: prefix + "x"),
      .deleteCAS(key: keys[1], index: index), .cas(key: keys[2], value: [7], index: index),
      .get(key: keys[3]), .getTree(prefix: prefix),
    ])
    let after = try #require(mixed.results)
    #expect(after[keys[1]] == nil && after[keys[2]]?.value == [7])
    #expect(after.count == 19)
  }

  @Test func listsAndKeys() async throws {
    let (client, prefix) = try await Shared.client()
    #expect(try await client.list(prefix).isEmpty)
    #expect(try await client.keys(prefix).isEmpty)
    let keys = (0..<300).map { "\(prefix)\($0 / 10)/\($0)" }.sorted()
    for start in stride(from: 0, to: 300, by: 50) {
      let part = keys[start..<(start + 50)]
      let outcome = await client.transaction(part.map { .set(key: $0, value: Array($0.utf8)) })
      #expect(outcome.results?.count == 50)
    }
    let list = try await client.list(prefix, consistency: .consistent)
    #expect(list.map(\.key) == keys)
    #expect(list.allSatisfy { $0.value == Array($0.key.utf8) })
    #expect(try await client.keys(prefix) == keys)
    let folders = try await client.keys(prefix, separator: "/")
    #expect(folders == (0..<30).map { "\(prefix)\($0)/" }.sorted())
    #expect(try await client.list(keys[0]).count == 1)
  }

  @Test func aListingIsBounded() async throws {
    let (_, prefix) = try await Shared.client()
    var limits = ConsulLimits()
    limits.listing = 1000
    let client = try makeClient(try await Shared.consul().address, limits: limits)
    let value = [UInt8](repeating: 1, count: 2000)
    #expect(await client.transaction([.set(key: prefix, value: value)]).results != nil)
    let list = try await failure { () async throws(ConsulError) in try await client.list(prefix) }
    #expect(list.failure == .unknown(.replyTooLarge(limit: 1000)))
  }

  @Test func theOperationLimitIsFoundByTrying() async throws {
    let (client, prefix) = try await Shared.client()
    #expect(client.operationLimit == 128)
    let operations = (0..<1000).map {
      TransactionOperation.set(key: "\(prefix)\($0)", value: [1])
    }
    let refused = await client.transaction(operations)
    let limit = client.operationLimit
    #expect(refused.failure == .refused(.tooManyOperations(limit: limit)))
    #expect(limit == 64 || limit == 128)
    #expect(await client.transaction(Array(operations.prefix(limit))).results?.count == limit)
    let above = await client.transaction(Array(operations.prefix(limit + 1)))
    #expect(above.failure == .refused(.tooManyOperations(limit: limit)))
    #expect(await client.transaction([]).results == [:])
  }

  @Test func whatTheServerRefusesForGood() async throws {
    let (client, prefix) = try await Shared.client()
    let big = [UInt8](repeating: 0, count: 600_000)
    let tooLarge = await client.transaction([.set(key: prefix, value: big)])
    #expect(tooLarge.failure == .refused(.tooLarge(limit: 524_288)))
    let control = try await failure { () async throws(ConsulError) in
      try await client.get("\(prefix)\u{1}")
    }
    #expect(control.failure == .refused(.badRequest))
    let noKey = await client.transaction([.set(key: "", value: [])])
    #expect(noKey.failure == .refused(.badRequest))
    let redirected = try await failure { () async throws(ConsulError) in
      try await client.get("\(prefix)a//b")
    }
    #expect(redirected.failure == .refused(.redirected(to: "/v1/kv/\(prefix)a/b")))
    #expect(redirected.text.contains("/v1/kv/\(prefix)a/b"))

    let address = try await Shared.consul().address
    let elsewhere = try makeClient(address) { $0.datacenter = "nowhere" }
    #expect(
      await elsewhere.transaction([.set(key: prefix, value: [])]).failure
        == .refused(.datacenterUnknown))
    let namespaced = try makeClient(address) { $0.namespace = "team" }
    let read = try await failure { () async throws(ConsulError) in try await namespaced.get("a") }
    #expect(read.failure == .refused(.badRequest))
    let partitioned = try makeClient(address) { $0.partition = "part" }
    #expect(
      await partitioned.transaction([.set(key: prefix, value: [])]).failure
        == .refused(.badRequest), "Consul 1.8 would take a query for a partition and ignore it")
  }

  @Test func unixSocketAndReverseProxyPath() async throws {
    let server = try await Shared.consul()
    let (_, prefix) = try await Shared.client()
    let client = try makeClient("unix://\(server.socketPath)")
    #expect(await client.transaction([.set(key: prefix, value: [3])]).results != nil)
    #expect(try await client.get(prefix)?.value == [3])
    let wrong = try makeClient("http://\(server.address)/not/consul")
    let error = try await failure { () async throws(ConsulError) in try await wrong.get("a") }
    #expect(error.failure == .refused(.notConsul), "a 404 without an index is no missing key")
  }

  @Test func whatTheAgentSays() async throws {
    let (client, _) = try await Shared.client()
    #expect(try await client.leader()?.contains(":") == true)
    let agent = try await client.agent()
    #expect(agent.datacenter == "dc1" && agent.node == "node-127.0.0.1")
    #expect(agent.version.split(separator: ".").count >= 3)
    #expect((agent.lastLogIndex ?? 0) > 0)
  }

  @Test func aHundredCallersShareEightConnections() async throws {
    let (client, prefix) = try await Shared.client()
    await withDiscardingTaskGroup { group in
      for number in 0..<100 {
        group.addTask {
          let key = "\(prefix)\(number)"
          let outcome = await client.transaction([.cas(key: key, value: [1], index: 0)])
          #expect(outcome.results?[key] != nil)
        }
      }
    }
    #expect(try await client.keys(prefix).count == 100)
    #expect(client.counters.connections <= 8)
    #expect(client.counters.requests == 101 && client.counters.commits == 100)
  }

  /// Reads do not reach the Raft log, and a transaction of writes is one entry of it.
  @Test func commitsAreCounted() async throws {
    let server = try await ConsulServer.start()
    let client = try makeClient(server.address)
    let (before, log) = (try server.writes(), try await client.agent().lastLogIndex ?? 0)
    let writes = (0..<10).map { TransactionOperation.set(key: "k\($0)", value: [1]) }
    for _ in 1...50 {
      #expect(await client.transaction(writes).results?.count == 10)
      let reads = [TransactionOperation.get(key: "k1"), .checkNotExists(key: "x")]
      #expect(await client.transaction(reads, consistency: .consistent).results?.count == 1)
      #expect(try await client.get("k2") != nil)
    }
    #expect(try server.writes() - before == 50)
    #expect(try await client.agent().lastLogIndex ?? 0 >= log + 50)
    #expect(client.counters.requests == 152 && client.counters.commits == 50)
    #expect(client.counters.connections == 1)
  }
}
