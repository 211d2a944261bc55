"""Django with django-ninja, psycopg's pool, and one gunicorn worker with threads."""

import os
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database.path[1:],
            "USER": database.username,
            "PASSWORD": database.password,
            "HOST": database.hostname,
            "PORT": database.port,
            "OPTIONS": {"pool": {"min_size": 8, "max_size": 8}},
        }
    },
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.security.SecurityMiddleware"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)
django.setup()

from django.contrib.postgres.fields import ArrayField  # noqa: E402
from django.db import models  # noqa: E402
from django.db.models import F  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.shortcuts import get_object_or_404  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import NinjaAPI, Schema  # noqa: E402
from ninja.errors import HttpError  # noqa: E402
from pydantic import Field  # noqa: E402


class Article(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    sku = models.TextField()
    name = models.TextField()
    description = models.TextField(default="")
    price = models.DecimalField(max_digits=12, decimal_places=2)
    stock = models.IntegerField(default=0)
    status = models.TextField(default="draft")
    tags = ArrayField(models.TextField(), default=list)
    attributes = models.JSONField(default=dict)
    shelf_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.TextField(default="bench")
    updated_by = models.TextField(default="bench")
    version = models.IntegerField(default=1)

    class Meta:
        app_label = "bench"
        db_table = "tests_article"
        managed = False


class ArticleIn(Schema):
    sku: str = Field(max_length=40)
    name: str = Field(max_length=200)
    price: Decimal = Field(ge=0)
    stock: int = Field(default=0, ge=0)
    shelf_id: uuid.UUID


class StockChange(Schema):
    stock: int = Field(ge=0)


class ArticleOut(ArticleIn):
    id: uuid.UUID
    description: str
    status: str
    tags: list[str]
    attributes: dict
    created_at: datetime
    updated_at: datetime
    created_by: str
    updated_by: str
    version: int


class Page(Schema):
    items: list[ArticleOut]


api = NinjaAPI()


@api.get("/articles/{item_id}", response=ArticleOut)
def read(request: HttpRequest, response: HttpResponse, item_id: uuid.UUID) -> Article:
    article = get_object_or_404(Article, pk=item_id)
    response["ETag"] = f'"{article.version}"'
    return article


@api.get("/articles", response=Page)
def list_articles(request: HttpRequest, status: str, sort: str, limit: int = 50) -> dict:
    return {"items": Article.objects.filter(status=status).order_by(sort, "id")[:limit]}


@api.post("/articles", response={201: ArticleOut})
def create(request: HttpRequest, response: HttpResponse, given: ArticleIn) -> tuple:
    article = Article.objects.create(**given.dict())
    response["ETag"] = f'"{article.version}"'
    return 201, article


@api.patch("/articles/{item_id}", response=ArticleOut)
def update(request: HttpRequest, response: HttpResponse, item_id: uuid.UUID, given: StockChange) -> Article:
    version = int(request.headers["If-Match"].strip('"'))
    changes = {"stock": given.stock, "version": F("version") + 1, "updated_at": datetime.now(UTC)}
    if not Article.objects.filter(pk=item_id, version=version).update(**changes):
        raise HttpError(412, "it has changed")
    article = Article.objects.get(pk=item_id)
    response["ETag"] = f'"{article.version}"'
    return article


urlpatterns = [path("api/v1/", api.urls)]
application = get_wsgi_application()
