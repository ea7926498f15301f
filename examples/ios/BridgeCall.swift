import Foundation
import WebRTC

enum CallState { case new, connecting, connected, reconnecting, ended }

enum CallError: Error { case noPath, refusedByWebRTC }

private let connectLimit = 20.0 // seconds, the bridge's own limit for ICE and DTLS
private let recoveryLimit = 3.0 // seconds for a new path, once the bridge has answered
private let giveUp = 95.0 // seconds: the bridge finds a dead leg after 35 s, and keeps a call without legs for 60 s

/// This phone's audio in one call, kept alive across changes of the network.
@MainActor
final class BridgeCall {
    private(set) var state = CallState.new
    private let factory: RTCPeerConnectionFactory
    private let api: BridgeApi
    private let callId: String
    private let microphone: RTCAudioTrack
    private var link: Link?
    private var legId: String?
    private var replaced = false // the bridge has answered for a connection that did not come up here

    init(factory: RTCPeerConnectionFactory, api: BridgeApi, callId: String, microphone: RTCAudioTrack) {
        self.factory = factory
        self.api = api
        self.callId = callId
        self.microphone = microphone
    }

    /// Join the call; returns when media flows, or throws why it does not.
    func connect() async throws {
        state = .connecting
        do {
            guard try await build(limit: connectLimit) else { throw CallError.noPath } // a TURN server would help
            state = .connected
        } catch {
            await close()
            throw error
        }
    }

    /// Find a new path: after a change of the network, and by itself when nothing arrives any more.
    func reconnect() {
        guard state == .connected else { return }
        state = .reconnecting
        Task {
            if await comeBack() { state = .connected } else { await close() }
        }
    }

    /// Leave the call; the call itself goes on.
    func close() async {
        guard state != .ended else { return }
        state = .ended
        link?.close()
        await closeLeg()
    }

    private func closeLeg() async {
        guard let leg = legId else { return }
        _ = try? await api.close(Close(callID: callId, legID: leg)) // else the bridge finds out within 35 s
    }

    /// An ICE restart first, then a new connection under the same leg, in turn; false when the call is over.
    private func comeBack() async -> Bool {
        let end = Date().addingTimeInterval(giveUp)
        var restart = true
        while state == .reconnecting, Date() < end {
            do {
                let back = try await restart && !replaced ? restarted() : build(limit: recoveryLimit)
                if back { return true }
            } catch let refused as HttpRefused {
                let gone = refused.status == 404 && legId != nil
                if !gone, [401, 403, 404, 409].contains(refused.status) { return false } // the call has ended
                if gone { legId = nil } // the leg has: join as a new one
                restart = true // which is turned to false below
                try? await Task.sleep(nanoseconds: 1_000_000_000)
            } catch {
                try? await Task.sleep(nanoseconds: 1_000_000_000) // no network yet
            }
            restart.toggle()
        }
        return false
    }

    private func restarted() async throws -> Bool {
        guard let current = link else { return false }
        try await negotiate(current, restart: true)
        return try await current.up(within: recoveryLimit)
    }

    /// Open a connection, and close the old one only then: the bridge takes its end for the end of the leg.
    private func build(limit: TimeInterval) async throws -> Bool {
        let servers = try await api.config().iceServers
        guard let fresh = Link(factory: factory, servers: servers, microphone: microphone) else {
            throw CallError.refusedByWebRTC
        }
        var up = false
        defer { if !up { fresh.close() } }
        try await negotiate(fresh, restart: false)
        replaced = link != nil
        up = try await fresh.up(within: limit) && state != .ended
        guard up else { return false }
        let old = link
        link = fresh
        replaced = false
        fresh.lost = { [weak self] in self?.reconnect() }
        old?.close()
        return true
    }

    private func negotiate(_ link: Link, restart: Bool) async throws {
        let sdp = try await link.offer(restart: restart)
        let answer = try await api.offer(Offer(callID: callId, type: "offer", sdp: sdp, legID: legId))
        legId = answer.legID
        if state == .ended { await closeLeg() } // closed while the request was under way
        try await link.answer(answer.sdp)
    }
}
