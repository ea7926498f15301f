import AVFAudio
import WebRTC

/// Microphone and speaker of the phone. CallKit decides when they run: WebRTC must not start them by itself.
@MainActor
final class CallAudio {
    let factory = RTCPeerConnectionFactory()
    let microphone: RTCAudioTrack
    /// The user's wish.
    var muted = false { didSet { update() } }
    /// A telephone call has the phone.
    var held = false { didSet { update() } }
    private let session = RTCAudioSession.sharedInstance()

    init() {
        session.useManualAudio = true
        session.isAudioEnabled = false
        microphone = factory.audioTrack(withTrackId: "microphone")
    }

    /// Choose what the session is for; before CallKit activates it, so in the action that starts or answers the call.
    func prepare() {
        session.lockForConfiguration()
        defer { session.unlockForConfiguration() }
        let configuration = RTCAudioSessionConfiguration.webRTC()
        configuration.category = AVAudioSession.Category.playAndRecord.rawValue
        configuration.mode = AVAudioSession.Mode.voiceChat.rawValue // cancels echo
        configuration.categoryOptions = [.allowBluetoothHFP]
        RTCAudioSessionConfiguration.setWebRTC(configuration)
        do {
            try session.setConfiguration(configuration) // and not setActive: that is CallKit's
        } catch {
            NSLog("the audio session could not be configured: %@", String(describing: error))
        }
    }

    func activated(_ system: AVAudioSession) {
        session.audioSessionDidActivate(system)
        session.isAudioEnabled = true
    }

    /// The call has ended, or a telephone call has interrupted it: CallKit activates again afterwards.
    func deactivated(_ system: AVAudioSession) {
        session.isAudioEnabled = false
        session.audioSessionDidDeactivate(system)
    }

    private func update() {
        microphone.isEnabled = !muted && !held // silence is still sent
    }

    func speaker(_ on: Bool) {
        session.lockForConfiguration()
        defer { session.unlockForConfiguration() }
        try? session.overrideOutputAudioPort(on ? .speaker : .none)
    }
}
