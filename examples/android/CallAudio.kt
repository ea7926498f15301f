package com.example.bridge

import android.content.Context
import android.media.AudioAttributes
import android.media.AudioManager
import org.webrtc.AudioTrack
import org.webrtc.MediaConstraints
import org.webrtc.PeerConnectionFactory
import org.webrtc.audio.JavaAudioDeviceModule

/**
 * Microphone and speaker of the phone. One for the whole app; the permission RECORD_AUDIO comes first.
 *
 * It asks for no audio focus: Telecom does, when the call becomes active. A second request from here would take the focus
 * away from Telecom's, and would be told to be silent in its own call.
 */
class CallAudio(context: Context) {
    val factory: PeerConnectionFactory
    val microphone: AudioTrack
    private val manager = context.getSystemService(AudioManager::class.java)
    private val device: JavaAudioDeviceModule

    /** The user's wish. */
    var muted = false
        set(value) {
            field = value
            update()
        }

    /** Another call has the phone: neither hear nor be heard. */
    var held = false
        set(value) {
            field = value
            update()
        }

    init {
        val options = PeerConnectionFactory.InitializationOptions.builder(context.applicationContext)
        PeerConnectionFactory.initialize(options.createInitializationOptions())
        val voice = AudioAttributes.Builder()
            .setUsage(AudioAttributes.USAGE_VOICE_COMMUNICATION)
            .setContentType(AudioAttributes.CONTENT_TYPE_SPEECH)
            .build()
        device = JavaAudioDeviceModule.builder(context.applicationContext)
            .setAudioAttributes(voice)
            .createAudioDeviceModule()
        factory = PeerConnectionFactory.builder().setAudioDeviceModule(device).createPeerConnectionFactory()
        microphone = factory.createAudioTrack("microphone", factory.createAudioSource(MediaConstraints()))
    }

    /** The mode in which the phone cancels echo. */
    fun start() {
        manager.mode = AudioManager.MODE_IN_COMMUNICATION
    }

    fun stop() {
        manager.mode = AudioManager.MODE_NORMAL
        muted = false
        held = false
    }

    /** Silence is sent meanwhile: the bridge tells a muted phone from a dead one by its packets. */
    private fun update() {
        device.setMicrophoneMute(muted || held)
        device.setSpeakerMute(held)
    }
}
