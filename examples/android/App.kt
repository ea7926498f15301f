package com.example.bridge

import android.app.Application
import android.content.Context
import com.google.firebase.messaging.FirebaseMessaging
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch

fun Context.app() = applicationContext as BridgeApplication

/** What lives as long as the process; a push starts it without any screen. Named in the manifest. */
abstract class BridgeApplication : Application() {
    abstract val server: AppServer // with the user's login
    abstract val notifications: CallNotifications
    val calls by lazy { PhoneCalls(this, server) }

    override fun onCreate() {
        super.onCreate()
        registerAccount(this, applicationInfo.loadLabel(packageManager).toString())
        FirebaseMessaging.getInstance().token.addOnSuccessListener(::register)
    }

    fun register(token: String) {
        CoroutineScope(Dispatchers.Main).launch {
            try {
                server.register(Device("android", token))
            } catch (_: IOException) {
                // At the next start.
            }
        }
    }
}
