import Foundation
import WebRTC

private let gatherNone = 2.0 // seconds without any candidate: the offer is sent anyway
private let gatherMore = 0.5 // seconds after the first one; the bridge learns later ones from checks
private let look = 0.05 // seconds between two looks at the state

/// One peer connection to the bridge.
@MainActor
final class Link: NSObject {
    private(set) var state = RTCPeerConnectionState.new
    /// Called when the path to the bridge is lost.
    var lost: () -> Void = {}
    private var candidates = 0
    private let peer: RTCPeerConnection

    init?(factory: RTCPeerConnectionFactory, servers: [IceServer], microphone: RTCAudioTrack) {
        let configuration = RTCConfiguration()
        configuration.iceServers = servers.filter { !$0.urls.isEmpty }.map {
            RTCIceServer(urlStrings: $0.urls, username: $0.username, credential: $0.credential)
        }
        configuration.sdpSemantics = .unifiedPlan
        configuration.bundlePolicy = .maxBundle
        configuration.iceConnectionReceivingTimeout = 2_000 // ms; the bridge sends a report every second
        let none = RTCMediaConstraints(mandatoryConstraints: nil, optionalConstraints: nil)
        guard let made = factory.peerConnection(with: configuration, constraints: none, delegate: nil) else { return nil }
        peer = made
        super.init()
        peer.delegate = self
        peer.add(microphone, streamIds: ["call"])
    }

    /// An offer that is worth sending: with the first candidates, without waiting for the last.
    func offer(restart: Bool) async throws -> String {
        let wanted = restart ? [kRTCMediaConstraintsIceRestart: kRTCMediaConstraintsValueTrue] : nil
        let constraints = RTCMediaConstraints(mandatoryConstraints: wanted, optionalConstraints: nil)
        candidates = 0
        let offer = try await peer.offer(for: constraints)
        try await peer.setLocalDescription(offer)
        if try await reached(within: gatherNone, { self.candidates > 0 }) {
            try await Task.sleep(nanoseconds: UInt64(gatherMore * 1e9))
        }
        return peer.localDescription?.sdp ?? offer.sdp
    }

    func answer(_ sdp: String) async throws {
        try await peer.setRemoteDescription(RTCSessionDescription(type: .answer, sdp: sdp))
    }

    /// Whether media can flow before `limit` seconds are over.
    func up(within limit: TimeInterval) async throws -> Bool {
        try await reached(within: limit) { self.state == .connected }
    }

    func close() {
        lost = {}
        peer.close()
    }

    private func reached(within limit: TimeInterval, _ condition: () -> Bool) async throws -> Bool {
        let end = Date().addingTimeInterval(limit)
        while !condition() {
            if Date() > end { return false }
            try await Task.sleep(nanoseconds: UInt64(look * 1e9))
        }
        return true
    }

    private func changed(_ new: RTCPeerConnectionState) {
        state = new
        if new == .disconnected || new == .failed { lost() }
    }
}

/// Called on a thread of WebRTC's own.
extension Link: RTCPeerConnectionDelegate {
    nonisolated func peerConnection(_: RTCPeerConnection, didChange newState: RTCPeerConnectionState) {
        Task { @MainActor in self.changed(newState) }
    }

    nonisolated func peerConnection(_: RTCPeerConnection, didGenerate _: RTCIceCandidate) {
        Task { @MainActor in self.candidates += 1 }
    }

    nonisolated func peerConnection(_: RTCPeerConnection, didChange _: RTCSignalingState) {}
    nonisolated func peerConnection(_: RTCPeerConnection, didAdd _: RTCMediaStream) {} // remote audio is played by itself
    nonisolated func peerConnection(_: RTCPeerConnection, didRemove _: RTCMediaStream) {}
    nonisolated func peerConnectionShouldNegotiate(_: RTCPeerConnection) {}
    nonisolated func peerConnection(_: RTCPeerConnection, didChange _: RTCIceConnectionState) {}
    nonisolated func peerConnection(_: RTCPeerConnection, didChange _: RTCIceGatheringState) {}
    nonisolated func peerConnection(_: RTCPeerConnection, didRemove _: [RTCIceCandidate]) {}
    nonisolated func peerConnection(_: RTCPeerConnection, didOpen _: RTCDataChannel) {}
}
