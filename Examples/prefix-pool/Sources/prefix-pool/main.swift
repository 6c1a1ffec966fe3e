// A provider's /32 that hands out /56 prefixes to customers, with a block set aside, and that survives
// a restart. Run it with: swift run --package-path Examples/prefix-pool

import AddressSpace
import BitmapAllocator

let provider = try Prefix(parsing: "2001:db8::/32")
guard var pool = AddressPool(subnet: provider, unitPrefixLength: 56) else {
  preconditionFailure("a /32 can hand out /56 prefixes")
}

// The provider keeps the first /40 for itself: 65,536 customers' worth, in one step.
let own = try Prefix(parsing: "2001:db8::/40")
precondition(pool.acquire(own))

// Customers get the next free prefixes, one by one or many at once.
let first = pool.acquirePrefix()
let many = pool.acquire(count: 1_000)
print("capacity \(pool.capacity), used \(pool.used), free \(pool.free)")
print("first customer: \(first.map(\.description) ?? "none"), and \(many.count) more")

// One of them leaves, and asks for the same prefix again later.
if let first {
  pool.release(first)
  print("given back: \(first), taken again: \(pool.acquire(first))")
}

// All of it as bytes, and back: runs of taken prefixes cost next to nothing.
let bytes = pool.snapshot().bytes
let restored = try AddressPool(
  restoring: PoolSnapshot(bytes: bytes), space: pool.space)
print("snapshot: \(bytes.count) bytes, equal after restoring: \(restored == pool)")
