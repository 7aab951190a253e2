"""The addresses."""

from django.urls import path

from examples.django_bank import views

urlpatterns = [
    path("accounts", views.open_account),
    path("accounts/<str:number>", views.show_account),
    path("transfers", views.transfer),
]
