import AVFAudio
import CallKit
import Foundation
import Network
import PushKit

/// The app's calls, one at a time, as CallKit shows them. One for the whole app: a push may start it without any screen.
@MainActor
final class PhoneCalls: NSObject {
    private let server: AppServer
    private let audio = CallAudio()
    private let provider: CXProvider
    private let controller = CXCallController()
    private let registry = PKPushRegistry(queue: .main)
    private let network = NWPathMonitor()
    private var call: BridgeCall?
    private var callId = "" // of the call that rings, or goes on
    private var uuid = UUID()
    private var answered = false // by this phone
    private var outgoing = false
    private var watching: Task<Void, Never>?

    init(server: AppServer) {
        self.server = server
        let configuration = CXProviderConfiguration()
        configuration.maximumCallsPerCallGroup = 1
        configuration.maximumCallGroups = 1
        configuration.supportedHandleTypes = [.phoneNumber]
        provider = CXProvider(configuration: configuration)
        super.init()
        provider.setDelegate(self, queue: .main)
        registry.delegate = self
        registry.desiredPushTypes = [.voIP]
        network.pathUpdateHandler = { [weak self] path in
            guard path.status == .satisfied else { return }
            Task { @MainActor [weak self] in self?.call?.reconnect() } // at once, and not after seconds of silence
        }
        network.start(queue: .main)
    }

    func dial(_ phone: String) {
        let action = CXStartCallAction(call: UUID(), handle: CXHandle(type: .phoneNumber, value: phone))
        controller.request(CXTransaction(action: action)) { error in
            if let error { NSLog("iOS allows no call: %@", String(describing: error)) }
        }
    }

    private func api(_ joined: Joined) -> BridgeApi {
        let server = self.server
        return BridgeApi(bridge: joined.bridge, ticket: joined.ticket) {
            try await server.ticket(joined.callId).ticket
        }
    }

    /// A call rings: stop when the caller gives up, or another phone answers.
    private func rings(_ id: String) async {
        do {
            watch(try await server.ticket(id))
        } catch {
            ended(.remoteEnded) // over already
        }
    }

    private func watch(_ joined: Joined) {
        let api = api(joined)
        watching = Task { [weak self] in
            await api.events(joined.callId) { event in await self?.happened(event) }
        }
    }

    private func happened(_ event: CallEvent) {
        switch event.type {
        case "call.answered" where outgoing: provider.reportOutgoingCall(with: uuid, connectedAt: nil)
        case "call.answered" where !answered: ended(.answeredElsewhere)
        case "call.ended": ended(.remoteEnded)
        default: break
        }
    }

    private func join(_ joined: Joined) async throws {
        let fresh = BridgeCall(
            factory: audio.factory, api: api(joined), callId: joined.callId, microphone: audio.microphone)
        call = fresh
        try await fresh.connect()
    }

    private func ended(_ reason: CXCallEndedReason) {
        guard !callId.isEmpty else { return }
        provider.reportCall(with: uuid, endedAt: nil, reason: reason)
        leave()
    }

    private func leave() {
        watching?.cancel()
        let left = call
        (call, callId, uuid, answered, outgoing) = (nil, "", UUID(), false, false)
        (audio.muted, audio.held) = (false, false)
        Task { await left?.close() }
    }
}

extension PhoneCalls: PKPushRegistryDelegate {
    nonisolated func pushRegistry(_: PKPushRegistry, didUpdate credentials: PKPushCredentials, for _: PKPushType) {
        let token = credentials.token.map { String(format: "%02x", $0) }.joined()
        Task { @MainActor in try? await server.register(Device(platform: "ios", token: token)) }
    }

    /// Report first, ask later: an app that reports no call before this returns is stopped by iOS.
    nonisolated func pushRegistry(
        _: PKPushRegistry, didReceiveIncomingPushWith payload: PKPushPayload, for _: PKPushType,
        completion: @escaping () -> Void
    ) {
        let data = payload.dictionaryPayload
        let (id, from) = (data["callId"] as? String ?? "", data["from"] as? String ?? "")
        MainActor.assumeIsolated { // the registry's queue is the main one
            let update = CXCallUpdate()
            update.remoteHandle = CXHandle(type: .phoneNumber, value: from)
            update.hasVideo = false
            let known = callId == id // a push that came twice is the same call
            let shown = known ? uuid : UUID()
            provider.reportNewIncomingCall(with: shown, update: update) { _ in completion() }
            if callId.isEmpty && !outgoing {
                (callId, uuid) = (id, shown)
                Task { await rings(id) }
            } else if !known { // there is another call: this one goes on ringing elsewhere
                provider.reportCall(with: shown, endedAt: nil, reason: .unanswered)
            }
        }
    }
}

extension PhoneCalls: CXProviderDelegate {
    nonisolated func providerDidReset(_: CXProvider) {
        MainActor.assumeIsolated { leave() }
    }

    /// Join first, then answer: the caller's first word is heard.
    nonisolated func provider(_: CXProvider, perform action: CXAnswerCallAction) {
        MainActor.assumeIsolated {
            answered = true
            audio.prepare()
            let id = callId
            Task {
                do {
                    try await join(server.ticket(id))
                    action.fulfill() // CallKit starts the audio now
                    try await server.answer(id)
                } catch {
                    if !action.isComplete { action.fail() }
                    ended((error as? HttpRefused)?.status == 409 ? .answeredElsewhere : .failed)
                }
            }
        }
    }

    nonisolated func provider(_: CXProvider, perform action: CXStartCallAction) {
        MainActor.assumeIsolated {
            (uuid, outgoing) = (action.callUUID, true)
            audio.prepare()
            Task {
                do {
                    let joined = try await server.dial(Dial(phone: action.handle.value))
                    guard uuid == action.callUUID else { // the user hung up meanwhile
                        action.fail()
                        try await server.hangup(joined.callId)
                        return
                    }
                    callId = joined.callId
                    action.fulfill()
                    watch(joined)
                    try await join(joined)
                } catch {
                    if !action.isComplete { action.fail() }
                    if uuid != action.callUUID { return }
                    if callId.isEmpty { leave() } else { ended(.failed) }
                }
            }
        }
    }

    /// End the call for both sides; one that rings is declined.
    nonisolated func provider(_: CXProvider, perform action: CXEndCallAction) {
        MainActor.assumeIsolated {
            let id = callId
            leave()
            action.fulfill()
            guard !id.isEmpty else { return } // not dialled yet: it is hung up once it is
            Task { try? await self.server.hangup(id) } // else the bridge ends it a minute after this phone has left
        }
    }

    nonisolated func provider(_: CXProvider, perform action: CXSetMutedCallAction) {
        MainActor.assumeIsolated { audio.muted = action.isMuted }
        action.fulfill()
    }

    /// A telephone call was accepted beside this one, or is over; the session's (de)activation does the rest.
    nonisolated func provider(_: CXProvider, perform action: CXSetHeldCallAction) {
        MainActor.assumeIsolated { audio.held = action.isOnHold }
        action.fulfill()
    }

    nonisolated func provider(_: CXProvider, didActivate session: AVAudioSession) {
        MainActor.assumeIsolated { audio.activated(session) }
    }

    nonisolated func provider(_: CXProvider, didDeactivate session: AVAudioSession) {
        MainActor.assumeIsolated { audio.deactivated(session) }
    }
}
